"""Play any life of a connection against a model of it that knows no Phoenix: only what a client may rely on."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from services.chat.connection import Channel, Connection, Dispatch, Effect, Join, Part, Send
from services.chat.protocol import Message, Reply

MOST = 3
topics = st.sampled_from(["room:a", "room:b", "room:c", "room:d", "lobby", "phoenix"])
events = st.sampled_from(["shout", "ping", "phx_leave", "phx_close", "phx_error", "heartbeat", "made_up"])


class Lives(RuleBasedStateMachine):
    """Be a client that does anything, and a server that answers joins whenever it likes."""

    joins = Bundle("joins")

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection(max_channels=MOST)
        self.next_ref = 0
        # What the client knows: the join of each topic that it has not seen end, by its join_ref.
        self.live: dict[str, Channel] = {}
        self.ends: Counter[Channel] = Counter()
        self.parts: Counter[Channel] = Counter()
        self.pending: set[Channel] = set()

    def ref(self) -> str:
        """Return a ref that no message has had."""
        self.next_ref += 1
        return str(self.next_ref)

    def see(self, effects: list[Effect] | list[Send]) -> None:
        """Look at what is sent: a channel ends once, and nothing is said about it afterwards."""
        for effect in effects:
            match effect:
                case Part(channel):
                    self.parts[channel] += 1
                case Send(Message(topic=topic, event="phx_close" | "phx_error", ref=ref, join_ref=join_ref)):
                    channel = self.live.pop(topic)
                    assert ref == join_ref == channel.join_ref
                    self.ends[channel] += 1

    @rule(topic=topics, target=joins)
    def join(self, topic: str) -> Channel | None:
        """Join a topic, once more perhaps."""
        ref, join_ref = self.ref(), self.ref()
        before = self.live.get(topic)
        is_full = len(self.live) - (before is not None) >= MOST
        effects = self.connection.handle(Message(topic, "phx_join", {}, ref=ref, join_ref=join_ref))
        self.see(effects)
        if before is not None:
            assert self.ends[before] == self.parts[before] == 1
        match effects[-1]:
            case Join(channel):
                assert (channel.topic, channel.join_ref, is_full) == (topic, join_ref, False)
                self.live[topic] = channel
                self.pending.add(channel)
                return channel
            case Send(Reply(topic=answered, status="error", ref=answered_ref)):
                assert (answered, answered_ref) == (topic, ref)
                assert is_full or not topic.startswith("room:")
                return None
            case other:
                raise AssertionError(other)

    @rule(topic=topics, event=events, with_ref=st.booleans())
    def send(self, topic: str, event: str, *, with_ref: bool) -> None:
        """Send an event with the right join_ref, or with none."""
        channel, ref = self.live.get(topic), self.ref()
        join_ref = channel.join_ref if channel is not None and with_ref else None
        effects = self.connection.handle(Message(topic, event, {}, ref=ref, join_ref=join_ref))
        self.see(effects)
        if (topic, event) == ("phoenix", "heartbeat"):
            assert effects == [Send(Reply("phoenix", "ok", {}, ref=ref))]
        elif event == "phx_leave":
            assert isinstance(effects[0], Send)
            mine = None if channel is None else channel.join_ref
            assert effects[0].frame == Reply(topic, "ok", {}, ref=ref, join_ref=mine)
            assert channel is None or self.ends[channel] == self.parts[channel] == 1
        elif channel is None:
            assert effects == [Send(Reply(topic, "error", {"reason": "unmatched topic"}, ref=ref))]
        else:
            assert effects == [Dispatch(channel, Message(topic, event, {}, ref=ref, join_ref=join_ref))]

    @precondition(lambda self: self.live)
    @rule(event=events, data=st.data())
    def send_stale(self, event: str, data: st.DataObject) -> None:
        """Send an event for a join that is gone: it has no effect and no answer."""
        topic = data.draw(st.sampled_from(sorted(self.live)))

        assert self.connection.handle(Message(topic, event, {}, ref=self.ref(), join_ref=self.ref())) == []

    @rule(channel=consumes(joins), is_welcome=st.booleans())
    def answer(self, channel: Channel | None, *, is_welcome: bool) -> None:
        """Answer a join late: whoever has gone meanwhile hears nothing."""
        if channel is None or channel not in self.pending:
            return
        self.pending.discard(channel)
        is_live = self.live.get(channel.topic) is channel
        if is_welcome:
            sent = self.connection.joined(channel, "1", {})
        else:
            sent = self.connection.refused(channel, "1", "no")
            if is_live:
                del self.live[channel.topic]
                self.ends[channel] += 1
        assert len(sent) == is_live
        assert all(send.frame.join_ref == channel.join_ref for send in sent)

    @precondition(lambda self: self.live or self.ends)
    @rule(data=st.data(), crashes=st.booleans())
    def end(self, data: st.DataObject, *, crashes: bool) -> None:
        """End a channel from the server's side, one that has ended already perhaps."""
        channels = sorted([*self.live.values(), *self.ends], key=lambda channel: int(str(channel.join_ref)))
        channel = data.draw(st.sampled_from(channels))
        is_live = self.live.get(channel.topic) is channel
        sent = self.connection.crash(channel) if crashes else self.connection.close(channel)
        self.see(sent)
        assert len(sent) == is_live

    @invariant()
    def agrees_on_what_is_open(self) -> None:
        """Know the same channels as the client, no more than the cap, and none that has ended."""
        assert len(self.live) <= MOST
        assert all(self.connection.is_open(channel) for channel in self.live.values())
        assert all(count == 1 for count in self.ends.values())
        assert not any(self.connection.is_open(channel) for channel in self.ends)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
