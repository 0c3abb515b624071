"""Write an examination for people, on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.disk import GIB
from deployer.doctor.model import GROUPS, Examination

_MARKS = {"ok": "ok", "missing": "MISSING", "note": "note"}


def lines(found: Examination) -> Iterator[str]:
    """Yield the lines."""
    for group in GROUPS:
        findings = [finding for finding in found.findings if finding.group == group]
        for at, finding in enumerate(findings):
            yield f"{group if at == 0 else '':<8} {_MARKS[finding.state]:<8} {finding.name:<18} {finding.said}"
            if finding.remedy and finding.state != "ok":
                yield f"{'':<17} {'':<18} -> {finding.remedy}"
    yield ""
    yield "`up` would change"
    yield from (f"  {change}" for change in found.changes)
    yield ""
    needs = f"{found.disk_needed / GIB:.0f} GiB of disk and {found.memory_needed / GIB:.0f} GiB of memory"
    if found.ready:
        yield f"`./stampchat up` can go: it takes {found.takes}, {needs}."
    else:
        count = "one thing is" if len(found.missing) == 1 else f"{len(found.missing)} things are"
        names = ", ".join(finding.name for finding in found.missing)
        yield f"`./stampchat up` cannot go yet: {count} missing ({names}). It takes {needs}."
