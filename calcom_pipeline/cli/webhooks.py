"""`calcom-pipeline webhooks`: the subscriptions at Cal.com, kept right, shown, their secret rotated."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.cli.console import Output, with_output
from calcom_pipeline.cli.deliveries import drain

if TYPE_CHECKING:
    from calcom_pipeline.app.webhooks.supervise import ScopeResult, Supervised

_WRITE = click.option("--apply", is_flag=True, help="Write, also where CALCOM_APPLY does not say auto.")


@click.group()
def webhooks() -> None:
    """Webhook subscriptions: one for the key's user, one for each event type of a team.

    Those of other addresses are never touched. CALCOM_WEBHOOK_URL is the address of ours.
    """


webhooks.add_command(drain)


@webhooks.command("ensure")
@_WRITE
@with_output
def ensure(output: Output, *, apply: bool) -> int:
    """Make what is missing, put right what somebody edited, remove what is there twice.

    Written is only with CALCOM_WEBHOOK_APPLY=auto (unset: as CALCOM_APPLY), on the sandbox, or with --apply; else it
    says what it would do.
    """
    from calcom_pipeline.app.webhooks.supervise import supervise
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container, output.progress("Webhooks", container.calcom) as progress:
        group = container.subscriptions
        rules = group.rules(may_write=True if apply else None)
        found = supervise(
            container.calcom, group.store, group.scopes, group.wanted, rules=rules, now=utc_now, progress=progress
        )
    _show_results(output, found)
    output.result("webhooks ensure", _as_json(found))
    return _code(found, wrong_is_fine=not rules.may_write)


@webhooks.command("rotate")
@_WRITE
@with_output
def rotate(output: Output, *, apply: bool) -> int:
    r"""Replace the previous secret by CALCOM_WEBHOOK_SECRET in every subscription, without losing a delivery.

    \b
    1. Put the new secret into CALCOM_WEBHOOK_SECRET and the old one into CALCOM_WEBHOOK_PREVIOUS_SECRET.
    2. Have the receiver (all of them) read both: send it SIGHUP if they stand in its .env file, else restart it.
    3. Run this. It sends test deliveries first, and changes nothing unless both secrets are taken.
    4. Two minutes later unset CALCOM_WEBHOOK_PREVIOUS_SECRET and have the receiver read that, too.
    """
    from calcom_pipeline.app.webhooks.rotate import SETTLING
    from calcom_pipeline.app.webhooks.rotate import rotate as run
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container, output.progress("Webhooks", container.calcom) as progress:
        group = container.subscriptions
        may_write = apply or group.may_write
        wanted, scopes = group.wanted, group.scopes
        done = run(
            container.calcom,
            group.store,
            group.receiver,
            scopes,
            wanted,
            may_write=may_write,
            now=utc_now,
            progress=progress,
        )
    changed = _as_json(done.changed) if done.changed else {}
    output_values = {"over": done.is_over, "refused": str(done.refused), "refused_code": done.refused.code, **changed}
    output.result("webhooks rotate", output_values)
    if done.changed is None:
        output.line(f"Nothing was changed: {done.refused}")
        return exit_codes.UNHEALTHY
    _show_results(output, done.changed)
    if done.is_over:
        minutes = round(SETTLING.total_seconds() / 60)
        output.line(f"Every subscription signs with the new secret. In {minutes} minutes the old one may go.")
    elif may_write:
        output.line("Some subscriptions may still sign with the old secret: keep it, and run this again.")
    return exit_codes.OK if done.is_over or not may_write else exit_codes.PARTIAL


@webhooks.command("status")
@with_output
def status(output: Output) -> int:
    """What was last found of every subscription, and how much was delivered. Asks Cal.com nothing."""
    from calcom_pipeline.bootstrap.container import ready_container
    from calcom_pipeline.clock import utc_now
    from calcom_pipeline.settings import load_settings

    with ready_container(load_settings()) as container:
        group = container.subscriptions
        known = {found.scope: found for found in group.store.known()}
        unseen = [scope for scope in group.scopes if scope not in known] if group.is_wanted else []
        url = container.settings.webhook_url
        arrivals = group.arrivals(utc_now())
    rows = [
        (k.scope, k.state, k.reason, _minute(k.since) if k.since else "-", _minute(k.checked_at))
        for k in known.values()
    ]
    rows += [(scope, "unseen", "not looked at yet", "-", "-") for scope in unseen]
    if rows:
        output.table(f"Webhooks of {url or 'no address'}", ("scope", "state", "what", "since", "looked at (UTC)"), rows)
    if not group.is_wanted:
        output.line("CALCOM_WEBHOOK_URL is not set: no subscriptions are kept, changes are found by polling.")
    if arrivals is not None:
        output.line(
            f"Deliveries: {arrivals.named} of {arrivals.expected} changes were delivered, {arrivals.lost} were found "
            f"by polling alone ({arrivals.lost_percent:.1f}% lost)"
        )
    shown = [
        {
            "scope": str(k.scope),
            "state": k.state,
            "reason": str(k.reason),
            "reason_code": k.reason.code,
            "since": k.since,
            "checked_at": k.checked_at,
        }
        for k in known.values()
    ]
    output_values = {"url": url, "scopes": shown, "unseen": [str(scope) for scope in unseen]}
    delivered = {**asdict(arrivals), "lost_percent": round(arrivals.lost_percent, 1)} if arrivals else None
    output.result("webhooks status", {**output_values, "deliveries": delivered})
    is_right = not unseen and all(k.state == "right" for k in known.values())
    return exit_codes.OK if is_right or not group.is_wanted else exit_codes.UNHEALTHY


def _minute(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def _show_results(output: Output, found: "Supervised") -> None:
    rows = [(r.scope, r.state, _listed(r.done), _listed(r.planned), r.reason) for r in found.results]
    output.table("Webhooks", ("scope", "state", "done", "to do", "why"), rows)
    if found.waiting:
        output.line(f"{len(found.waiting)} more: {found.waiting_for}")
    if any(r.planned for r in found.results):
        output.line("Nothing was written; run it with --apply, or set CALCOM_WEBHOOK_APPLY=auto.")
    if found.rotation_due:
        output.line(f"{found.rotation_due} sign with a previous secret: calcom-pipeline webhooks rotate")


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(kinds) or "-"


def _as_json(found: "Supervised") -> dict[str, Any]:
    return {
        "written": found.written,
        "scopes": [_result(r) for r in found.results],
        "waiting": [str(scope) for scope in found.waiting],
        "waiting_for": found.waiting_for.code if found.waiting_for else "",
    }


def _result(found: "ScopeResult") -> dict[str, Any]:
    return {
        "scope": str(found.scope),
        "state": found.state,
        "done": list(found.done),
        "to_do": list(found.planned),
        "reason": str(found.reason),
        "reason_code": found.reason.code,
        "rotation_due": found.rotation_due,
    }


def _code(found: "Supervised", *, wrong_is_fine: bool) -> int:
    is_whole = not found.number("failed") and not found.waiting
    return exit_codes.OK if is_whole and (wrong_is_fine or not found.number("wrong")) else exit_codes.PARTIAL
