"""`reference/exit-codes.md`, `reference/reasons.md`, `reference/alerts.md`: what programs tell cases apart by."""

import inspect
import re
from collections.abc import Iterator
from string import Formatter

from calcom_pipeline.cli import exit_codes
from calcom_pipeline.domain import errors, reasons
from calcom_pipeline.domain.maintenance.alerts import ELSE_TO_DO, OF_ONE_CHECK, WHAT_TO_DO
from calcom_pipeline.domain.text import snake_case
from docs.making.markdown import code, page, prose, table

_SECTION = re.compile(r"^ +# --- (.+)$")
_KEY = re.compile(r'^ +"(\w+)":')


def exit_codes_page() -> str:
    """Every exit code, and the kinds of error behind it."""
    kinds = list(_kinds())
    rows = [
        [str(number), prose(said), ", ".join(code(name) for name, kind in kinds if _ends_with(kind, number))]
        for number, said in exit_codes.MEANING.items()
    ]
    detailed = f"""`plan {exit_codes.DETAILED}` answers as users of Terraform know it instead: **0** both sides agree,
**{exit_codes.CHANGES}** something is to be done, decided or waited for, **{exit_codes.FAILED}** every error
({exit_codes.INTERRUPTED} and {exit_codes.NOBODY_READS} stay)."""
    introduction = "How a command ends. Kinds of error are explained under [reasons](reasons.md#kinds-of-error)."
    return page("Exit codes", introduction, table(["code", "meaning", "kinds of error"], rows), detailed)


def reasons_page() -> str:
    """Every reason with its sentence, in the groups in which the code has them, then the kinds of error."""
    introduction = """Why something is as it is stands as a sentence for people and as a code for programs: in
`sync_actions.reason_code` and its parameters in `reason_params`, in `service_links`, in the `--json` of commands. In a
sentence, what stands in braces is a parameter."""
    groups = [
        f"## {heading[0].upper()}{heading[1:]}\n\n"
        + table(["code", "sentence", "parameters"], [_reason(name) for name in names])
        for heading, names in reason_groups()
    ]
    rows = [[code(name), prose(_first_sentence(kind)), str(exit_codes.of(_bare(kind)))] for name, kind in _kinds()]
    failures = (
        "## Kinds of error\n\nWhere a call or a command failed, the code is the kind of error, and the sentence that "
        "of the error.\n\n" + table(["code", "what it means", "exit code"], rows)
    )
    return page("Reasons", introduction, *groups, failures)


def alerts_page() -> str:
    """Every kind of alert with what its message says is to be done."""
    introduction = """Told by e-mail or an incoming webhook ([`CALCOM_ALERT_WEBHOOK`](settings.md#calcom_alert_webhook),
[`CALCOM_ALERT_SMTP_URL`](settings.md#calcom_alert_smtp_url)), once per cause, with what to do and a link to the run.
The code is the kind of error, or one of what stands still without a run that fails: an open circuit, a blocked key, a
position in the future, a run that does not end."""
    rows = [[code(kind), prose(advice)] for kind, advice in sorted(WHAT_TO_DO.items())]
    checks = (
        "## Checks\n\nA check that has not passed for "
        "[`CALCOM_ALERT_AFTER_SECONDS`](settings.md#calcom_alert_after_seconds) is told as well, once until it has "
        "passed for as long; its message links to it.\n\n"
        + table(["check", "what to do"], [[code(name), prose(advice)] for name, advice in sorted(OF_ONE_CHECK.items())])
    )
    other = f"Of any other kind: {prose(ELSE_TO_DO)}"
    return page("Alerts", introduction, table(["kind", "what to do"], rows), other, checks)


def reason_groups() -> list[tuple[str, list[str]]]:
    """The codes under the headings that stand as comments in the source."""
    groups: list[tuple[str, list[str]]] = []
    for line in inspect.getsource(reasons).splitlines():
        if heading := _SECTION.match(line):
            groups.append((heading[1], []))
        elif groups and (key := _KEY.match(line)) and key[1] in reasons.SENTENCES:
            groups[-1][1].append(key[1])
    return groups


def _reason(name: str) -> list[str]:
    sentence = reasons.SENTENCES[name]
    fields = dict.fromkeys(field for _, field, _, _ in Formatter().parse(sentence) if field)
    return [code(name), prose(sentence.replace("!r}", "}")), ", ".join(code(field) for field in fields)]


def _kinds() -> Iterator[tuple[str, type[errors.PipelineError]]]:
    """Every kind of error by its code, in the order of the source."""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.PipelineError):
            yield snake_case(name), kind


def _ends_with(kind: type[errors.PipelineError], number: int) -> bool:
    return kind is not errors.PipelineError and exit_codes.of(_bare(kind)) == number


def _bare(kind: type[errors.PipelineError]) -> errors.PipelineError:
    """One of the kind without what its own constructor asks for: only its class counts."""
    return kind.__new__(kind)


def _first_sentence(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())
