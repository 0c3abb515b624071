"""Each alert fires at what it is about and at nothing else, as the real promtool evaluates it; each has a page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.observability.alerts import GROUPS, PREFIX, rule_groups
from infra.observability.certificate import ENDS, OURS, READY, RENEWAL
from tests.prometheus import prometheus_programs

ROOT = Path(__file__).resolve().parents[3]
ALERTS = {alert.name: alert for alerts in GROUPS.values() for alert in alerts}
PAGES = "docs/alerts"
# How a scraped series is labelled: by the PodMonitors of the stack.
CHAT = 'job="stamp-chat-channels",pod="chat-1"'
AUTH = 'job="stamp-chat-auth",pod="auth-1"'


@dataclass(frozen=True)
class Case:
    """Be one situation.

    Attributes:
        alert: that is about it.
        series: what is scraped four times a minute, in promtool's notation.
        fine: what is different while nothing is wrong.
        labels: that the alert has besides its severity.
        says: its summary.
        tells: its description.
        at: when it fires.
        before: when it does not yet.
    """

    alert: str
    series: Mapping[str, str]
    fine: Mapping[str, str]
    says: str
    tells: str
    labels: Mapping[str, str] = field(default_factory=dict)
    at: str = "20m"
    before: str = "1m"


def histogram(name: str, labels: str, *, slow: str, bound: str, worse: str) -> dict[str, str]:
    """Make a histogram of ten a second; `slow` of them take up to `worse` seconds and the others up to `bound`."""
    return {
        f'{name}_bucket{{{labels},le="{bound}"}}': f"0+{150 - int(slow)}x200",
        f'{name}_bucket{{{labels},le="{worse}"}}': "0+150x200",
        f'{name}_bucket{{{labels},le="+Inf"}}': "0+150x200",
    }


def moments(series: str, values: str) -> dict[str, str]:
    """Have two pods of cert-manager tell a moment of our certificate."""
    return {f'{series}{{{OURS},exported_namespace="stampchat",pod="{pod}"}}': values for pod in "ab"}


BUILDS = {f'stampchat_build_info{{service="{name}"}}': "1x200" for name in ("auth", "chat", "notifications")}
ERRORS = f'stampchat_http_requests_total{{{AUTH},port="public",status="500"}}'
OKS = f'stampchat_http_requests_total{{{AUTH},port="public",status="200"}}'
NEEDED, APPLIED = (f'stampchat_migration{{{AUTH},kind="{kind}"}}' for kind in ("needed", "applied"))
USED = f'stampchat_database_connections{{{AUTH},state="used"}}'
CASES = (
    Case(
        "ServiceDown",
        {**BUILDS, 'stampchat_build_info{service="chat"}': "1x10 _x190"},
        BUILDS,
        "No pod of chat tells that it lives",
        "Prometheus has had no metrics of any pod of chat for two minutes.",
        {"service": "chat"},
        before="2m",
    ),
    Case(
        "Restarting",
        {f"process_start_time_seconds{{{AUTH}}}": "100x20 200x20 300x20 400x200"},
        {f"process_start_time_seconds{{{AUTH}}}": "100x20 200x20 300x200"},
        "A process of stamp-chat-auth starts again and again",
        "Pod auth-1 has begun anew 3 times within a quarter of an hour.",
        {"job": "stamp-chat-auth", "pod": "auth-1"},
        at="18m",
        before="14m",
    ),
    Case(
        "Errors",
        {OKS: "0+95x200", ERRORS: "0+5x200"},
        {OKS: "0+99x200", ERRORS: "0+1x200"},
        "stamp-chat-auth answers many requests with a fault of its own",
        "5% of the requests of the last five minutes were answered with a 5xx.",
        {"job": "stamp-chat-auth"},
    ),
    Case(
        "MigrationMissing",
        {NEEDED: "3x200", APPLIED: "2x200"},
        {NEEDED: "3x200", APPLIED: "4x200"},
        "The database of stamp-chat-auth lacks a migration",
        "Pod auth-1 needs a migration that its database does not have, and takes no traffic until then.",
        {"job": "stamp-chat-auth", "pod": "auth-1"},
    ),
    Case(
        "SlowRequests",
        histogram("stampchat_http_request_seconds", f'{AUTH},port="public"', slow="15", bound="1.0", worse="2.5"),
        histogram("stampchat_http_request_seconds", f'{AUTH},port="public"', slow="1", bound="1.0", worse="2.5"),
        "stamp-chat-auth answers slowly",
        "One request in a hundred takes longer than 2.35s.",
        {"job": "stamp-chat-auth"},
    ),
    Case(
        "SlowMessages",
        histogram("stampchat_shout_seconds", CHAT, slow="15", bound="0.5", worse="1.0"),
        histogram("stampchat_shout_seconds", CHAT, slow="1", bound="0.5", worse="1.0"),
        "Messages reach the others slowly",
        "One message in a hundred takes longer than 950ms from its coming in to its broadcast.",
    ),
    Case(
        "SlowJoins",
        histogram("stampchat_join_seconds", CHAT, slow="15", bound="1.0", worse="5.0"),
        histogram("stampchat_join_seconds", CHAT, slow="1", bound="1.0", worse="5.0"),
        "Groups open slowly",
        "One join in a hundred is answered after more than 4.6s.",
    ),
    Case(
        "LoopLag",
        histogram("stampchat_event_loop_lag_seconds", CHAT, slow="15", bound="0.1", worse="0.25"),
        histogram("stampchat_event_loop_lag_seconds", CHAT, slow="1", bound="0.1", worse="0.25"),
        "stamp-chat-channels is short of processor",
        "The event loop of pod chat-1 is 235ms late.",
        {"job": "stamp-chat-channels", "pod": "chat-1"},
    ),
    Case(
        "SocketsNearLimit",
        {f"stampchat_sockets{{{CHAT}}}": "950x200", f"stampchat_sockets_limit{{{CHAT}}}": "1000x200"},
        {f"stampchat_sockets{{{CHAT}}}": "900x200", f"stampchat_sockets_limit{{{CHAT}}}": "1000x200"},
        "A pod of chat has nearly all the sockets that it takes",
        "95% of the sockets of pod chat-1 are open; once all are, the next one is refused.",
        {"job": "stamp-chat-channels", "pod": "chat-1"},
    ),
    Case(
        "BusDown",
        {f"stampchat_bus_up{{{CHAT}}}": "0x200"},
        {f"stampchat_bus_up{{{CHAT}}}": "0x4 1x200"},
        "A pod of chat does not hear the others",
        "The bus of pod chat-1 is down: people on different pods see each other's messages late.",
        {"job": "stamp-chat-channels", "pod": "chat-1"},
    ),
    Case(
        "ReplicasApart",
        {'stampchat_replicas{pod="1"}': "2x200", 'stampchat_replicas{pod="2"}': "1x200"},
        {'stampchat_replicas{pod="1"}': "2x200", 'stampchat_replicas{pod="2"}': "2x200"},
        "The pods of chat do not all hear each other",
        "A pod of chat hears of 1 pods, itself included, and there are more.",
    ),
    Case(
        "BusGaps",
        {f"stampchat_bus_gaps_total{{{CHAT}}}": "0+30x200"},
        {f"stampchat_bus_gaps_total{{{CHAT}}}": "0+3x200"},
        "The bus between the pods of chat loses messages",
        "2 times a second a room's messages are read from the database, since the bus had not brought them in time.",
    ),
    Case(
        "WriterQueue",
        {f"stampchat_writer_queue{{{CHAT}}}": "5000x200"},
        {f"stampchat_writer_queue{{{CHAT}}}": "1000x200"},
        "Messages wait to be stored",
        "In pod chat-1 5000 messages and changes wait for the database.",
        {"job": "stamp-chat-channels", "pod": "chat-1"},
    ),
    Case(
        "ChannelsCrashed",
        {f"stampchat_channels_crashed_total{{{CHAT}}}": "0x40 1x200"},
        {f"stampchat_channels_crashed_total{{{CHAT}}}": "7x200"},
        "A channel ended by a mistake of ours",
        "Pod chat-1 ended channels by phx_error within the last quarter of an hour; its log says why.",
        {"job": "stamp-chat-channels", "pod": "chat-1"},
        before="9m",
    ),
    Case(
        "PushOutboxLate",
        {
            f"stampchat_push_outbox_late_seconds{{{CHAT}}}": "90x200",
            'stampchat_push_outbox_late_seconds{pod="2"}': "0x200",
        },
        {f"stampchat_push_outbox_late_seconds{{{CHAT}}}": "60x200"},
        "Pushes wait in chat's outbox",
        "The oldest push that chat should have handed to notifications is 1m 30s overdue.",
    ),
    Case(
        "PushQueueOld",
        {'stampchat_push_oldest_seconds{pod="n"}': "360x200"},
        {'stampchat_push_oldest_seconds{pod="n"}': "300x200"},
        "Pushes wait for the provider",
        "The push that is due first has waited for 6m 0s.",
    ),
    Case(
        "PushesRefused",
        # A counter with a label is not there before its first count.
        {'stampchat_push_alerts_total{pod="n",reason="sender_id_mismatch"}': "_x40 1x200"},
        {'stampchat_push_alerts_total{pod="n",reason="sender_id_mismatch"}': "_x4 1x200"},
        "The push provider refuses us: sender_id_mismatch",
        "No push goes out until a person mends it; none is lost meanwhile.",
        {"pod": "n", "reason": "sender_id_mismatch"},
        before="9m",
    ),
    Case(
        "PushDeadLetters",
        {'stampchat_push_dead_letters{pod="n"}': "3x40 8x400"},
        {'stampchat_push_dead_letters{pod="n"}': "8x400"},
        "Pushes were given up",
        "5 pushes more than an hour ago are dead letters; they can be sent again.",
        at="62m",
        before="9m",
    ),
    Case(
        "DatabasePoolExhausted",
        {USED: "10x200", f"stampchat_database_pool_size{{{AUTH}}}": "10x200"},
        {USED: "9x200", f"stampchat_database_pool_size{{{AUTH}}}": "10x200"},
        "stamp-chat-auth uses all of its database connections",
        "All 10 connections of pod auth-1 have been in use for five minutes; requests wait.",
        {"job": "stamp-chat-auth", "pod": "auth-1"},
    ),
    Case(
        "DatabaseWait",
        histogram("stampchat_database_wait_seconds", AUTH, slow="15", bound="0.25", worse="0.5"),
        histogram("stampchat_database_wait_seconds", AUTH, slow="1", bound="0.25", worse="0.5"),
        "stamp-chat-auth waits for its database",
        "One time in a hundred it takes more than 475ms to get a connection.",
        {"job": "stamp-chat-auth"},
    ),
    Case(
        "AccountDeletionsPending",
        {f"stampchat_account_deletions_pending{{{AUTH}}}": "2x400"},
        {f"stampchat_account_deletions_pending{{{AUTH}}}": "2x200 0x200"},
        "Accounts are not wholly deleted",
        "2 accounts that their owners deleted still have something left somewhere.",
        at="65m",
        before="55m",
    ),
    Case(
        "CertificateNotRenewed",
        # 130 minutes between renewal and end, half of them over at minute 66. Two pods of cert-manager tell of it.
        {**moments(ENDS, "7860x600"), **moments(RENEWAL, "60x600")},
        {**moments(ENDS, "7860x300 15660x300"), **moments(RENEWAL, "60x300 7860x300")},
        "The certificate should have been renewed long ago",
        "It ends in 3m 0s; half of the time that cert-manager takes for a renewal is over.",
        {"name": "stampchat-tls"},
        at="128m",
        before="120m",
    ),
    Case(
        "CertificateExpires",
        {**moments(ENDS, "7860x600"), **moments(RENEWAL, "60x600")},
        # There is none yet.
        {**moments(ENDS, "0x600"), **moments(RENEWAL, "0x600")},
        "The certificate is about to end",
        "It ends in -4m 0s (with a minus it has ended), and nobody can connect from then on.",
        {"name": "stampchat-tls"},
        at="135m",
        before="128m",
    ),
    Case(
        "CertificateNotReady",
        {f'{READY}{{{OURS},condition="True"}}': "0x200", f'{READY}{{{OURS},condition="False"}}': "1x200"},
        {f'{READY}{{{OURS},condition="True"}}': "1x200", f'{READY}{{{OURS},condition="False"}}': "0x200"},
        "There is no good certificate",
        "For half an hour cert-manager has called Certificate stampchat-tls not ready.",
        {"name": "stampchat-tls"},
        at="35m",
        before="25m",
    ),
    Case(
        "CertificateUnwatched",
        {f"{ENDS}{{{OURS}}}": "5000x10 _x400", f'{ENDS}{{name="somebody-elses"}}': "5000x400"},
        {f"{ENDS}{{{OURS}}}": "5000x400"},
        "Nobody watches the certificate",
        "Prometheus has had no figure of Certificate stampchat-tls for an hour: cert-manager does not run, or"
        " nobody scrapes it.",
        {"name": "stampchat-tls"},
        at="70m",
        before="60m",
    ),
)


def write(path: Path, document: Any) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([prometheus_programs() / "promtool", *arguments], check=False, capture_output=True, text=True)


def situation(case: Case) -> list[dict[str, Any]]:
    """Write a case as promtool's own tests: what goes wrong, and the same while nothing is wrong."""
    name = f"{PREFIX}{case.alert}"
    expected = {
        "exp_labels": {"severity": ALERTS[case.alert].severity, **case.labels},
        "exp_annotations": {
            "summary": case.says,
            "description": case.tells,
            "runbook_url": f"{PAGES}/{case.alert}.md",
        },
    }
    moments: list[dict[str, Any]] = [
        {"eval_time": case.before, "alertname": name, "exp_alerts": []},
        {"eval_time": case.at, "alertname": name, "exp_alerts": [expected]},
    ]
    silence = [{"eval_time": case.at, "alertname": name, "exp_alerts": []}]
    return [
        {"interval": "15s", "input_series": _series(case.series), "alert_rule_test": moments},
        {"interval": "15s", "input_series": _series(case.fine), "alert_rule_test": silence},
    ]


def _series(series: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def judge(folder: Path, groups: Any, tests: Any) -> subprocess.CompletedProcess[str]:
    write(folder / "rules.yaml", {"groups": groups})
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "15s", "tests": tests}
    return promtool("test", "rules", write(folder / "tests.yaml", document))


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == list(ALERTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_should_and_says_so_in_plain_words(case: Case, tmp_path: Path) -> None:
    done = judge(tmp_path, rule_groups(PAGES), situation(case))

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_wrong_is_found(tmp_path: Path) -> None:
    """Self-test: a limit that is off by much, and an alert that never comes."""
    groups = rule_groups(PAGES)
    broken = {**groups[2]["rules"][0], "expr": "stampchat_sockets / stampchat_sockets_limit > 9"}
    groups[2] = {**groups[2], "rules": [broken]}
    case = next(case for case in CASES if case.alert == "SocketsNearLimit")

    assert judge(tmp_path, groups, situation(case)).returncode == 1


def test_promtool_has_nothing_to_say_against_the_rules(tmp_path: Path) -> None:
    """Its lint, too, as an error."""
    rules = write(tmp_path / "rules.yaml", {"groups": rule_groups(PAGES)})
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", rules)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_page_for_whoever_it_wakes(name: str) -> None:
    """Under the name that the alert itself gives, in the list, and with what to do."""
    page = (ROOT / PAGES / f"{name}.md").read_text(encoding="utf-8")
    (rule,) = [rule for group in rule_groups(PAGES) for rule in group["rules"] if rule["alert"] == f"{PREFIX}{name}"]

    assert page.startswith(f"# {PREFIX}{name}\n")
    assert [part for part in ("**For people who chat:**", "## Look", "## Mend") if part not in page] == []
    assert (ROOT / rule["annotations"]["runbook_url"]).is_file()
    listed = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"| [{name}](alerts/{name}.md) | {rule['labels']['severity']} |" in listed


def test_there_is_no_page_without_an_alert() -> None:
    """And each link of a page leads somewhere."""
    pages = sorted((ROOT / PAGES).glob("*.md"))

    assert {page.stem for page in pages} == set(ALERTS)
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
