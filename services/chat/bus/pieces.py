"""Put frames together that came in pieces."""

from __future__ import annotations

from collections import OrderedDict

from services.chat.bus.frames import Frame, decode_frame

# Half a frame of a replica that died is never finished.
MAX_FRAMES = 100
MAX_PIECES = 1000


class Pieces:
    """Hold what has come of each frame so far."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[str, int], dict[int, str]] = OrderedDict()

    def join(self, frame: Frame) -> Frame | None:
        """Return the frame, once all of it has come.

        Raises:
            msgspec.MsgspecError: put together it is no frame.
        """
        if frame.piece is None:
            return frame
        index, count, text = frame.piece
        if not 0 <= index < count <= MAX_PIECES:
            return None
        key = (frame.origin, frame.number)
        parts = self._parts.setdefault(key, {})
        parts[index] = text
        if len(parts) < count:
            if len(self._parts) > MAX_FRAMES:
                self._parts.popitem(last=False)
            return None
        del self._parts[key]
        return decode_frame("".join(parts[number] for number in range(count)).encode())
