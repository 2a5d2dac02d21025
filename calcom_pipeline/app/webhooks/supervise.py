"""Keep one subscription per scope right: look, decide (domain), write if that is allowed, note what was found.

Run it as often as you like, several at once too: Cal.com takes an address once per scope and refuses the second, and
what was refused is looked at again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from calcom_pipeline.app.calls import Progress
from calcom_pipeline.app.webhooks.ports import KnownScope, ScopeState, SubscriptionStore, WebhookApi
from calcom_pipeline.domain.errors import CalcomError, Conflict, NotFound, TransientError, Unauthorized
from calcom_pipeline.domain.reasons import Reason
from calcom_pipeline.domain.webhooks.models import WebhookScope
from calcom_pipeline.domain.webhooks.subscriptions import (
    SubscriptionAction,
    SubscriptionStep,
    WantedSubscription,
    decide,
    release,
)

USER = WebhookScope()


@dataclass(frozen=True, slots=True)
class SupervisorRules:
    """`may_write`: otherwise it is only told what would be done. `rotate`: previous secrets are replaced as well.

    `most_scopes` are looked at in one run, a call each: the user's, then unknown ones, then those not seen for longest.
    """

    may_write: bool
    rotate: bool = False
    most_scopes: int = 30


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """What was found of a scope and done about it; what was only to be done has state `wrong`."""

    scope: WebhookScope
    state: ScopeState
    reason: Reason
    done: tuple[SubscriptionStep, ...] = ()
    planned: tuple[SubscriptionStep, ...] = ()
    rotation_due: bool = False


@dataclass(frozen=True, slots=True)
class Supervised:
    """Results of the scopes that were looked at, and those that have to wait for another run."""

    results: tuple[ScopeResult, ...]
    waiting: tuple[WebhookScope, ...] = ()
    waiting_for: Reason | None = None

    def number(self, state: ScopeState) -> int:
        """How many scopes are in a state."""
        return sum(result.state == state for result in self.results)

    @property
    def written(self) -> int:
        """Writes that were done."""
        return sum(kind != "keep" for result in self.results for kind in result.done)

    @property
    def rotation_due(self) -> int:
        """Scopes that sign with a previous secret."""
        return sum(result.rotation_due for result in self.results)


def supervise(
    calcom: WebhookApi,
    store: SubscriptionStore,
    scopes: Sequence[WebhookScope],
    wanted: WantedSubscription,
    *,
    rules: SupervisorRules,
    now: Callable[[], datetime],
    progress: Progress | None = None,
) -> Supervised:
    """Look at the scopes whose turn it is, and put right what is wrong.

    A scope that fails does not stop the others; a Cal.com that is away does, and so does a key that it refuses.

    Raises:
        Unauthorized: the key is refused for the user's own subscriptions.
        StoreError: what was found cannot be noted.
    """
    known = {found.scope: found for found in store.known()}
    turn, waiting = _whose_turn(scopes, known, rules)
    keeper = _Keeper(calcom, store, wanted, rules, now)
    results: list[ScopeResult] = []
    for position, scope in enumerate(turn):
        try:
            result = keeper.see_to(scope, known.get(scope), is_wanted=scope in scopes)
        except TransientError as error:
            stopped = Reason("webhook_stopped", text=str(error))
            return Supervised(tuple(results), (*turn[position:], *waiting), stopped)
        if result is not None:
            results.append(result)
        if progress:
            progress(position + 1, len(turn), f"webhooks of {scope}")
    why = Reason("webhook_not_looked_at", most=rules.most_scopes) if waiting else None
    return Supervised(tuple(results), tuple(waiting), why)


def _whose_turn(
    scopes: Sequence[WebhookScope], known: dict[WebhookScope, KnownScope], rules: SupervisorRules
) -> tuple[list[WebhookScope], list[WebhookScope]]:
    """Those to look at now, and those that have to wait. Scopes that are not wanted any more are looked at, too."""
    everything = list(dict.fromkeys([*scopes, *known]))

    def order(scope: WebhookScope) -> tuple[bool, bool, float]:
        found = known.get(scope)
        return scope != USER, found is not None, found.checked_at.timestamp() if found else 0.0

    turn = sorted(everything, key=order)
    return turn[: rules.most_scopes], turn[rules.most_scopes :]


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Looks after single scopes."""

    calcom: WebhookApi
    store: SubscriptionStore
    wanted: WantedSubscription
    rules: SupervisorRules
    now: Callable[[], datetime]

    def see_to(self, scope: WebhookScope, known: KnownScope | None, *, is_wanted: bool) -> ScopeResult | None:
        """Look, decide, do, note; None for a scope that is not wanted and holds nothing of ours (any more)."""
        ours = {known.webhook_id} if known is not None and known.webhook_id else set[str]()
        try:
            found = self._look_and_do(scope, ours, is_wanted=is_wanted)
        except NotFound as error:
            if not is_wanted:  # its subscriptions went with the event type (fact sheet 4.1)
                self.store.forget([scope])
                return None
            found = _FoundScope(ScopeResult(scope, "failed", Reason.of(error)))
        except Unauthorized:
            if scope == USER:
                raise
            found = _FoundScope(ScopeResult(scope, "failed", Reason("webhook_forbidden")))
        except TransientError:
            raise
        except CalcomError as error:
            found = _FoundScope(ScopeResult(scope, "failed", Reason.of(error)))
        return self._noted(found, known, is_wanted=is_wanted)

    def _look_and_do(self, scope: WebhookScope, ours: set[str], *, is_wanted: bool) -> "_FoundScope":
        try:
            return self._once(scope, ours, is_wanted=is_wanted)
        except (Conflict, NotFound):  # somebody else was faster, or removed what we were about to change
            return self._once(scope, ours, is_wanted=is_wanted)

    def _once(self, scope: WebhookScope, ours: set[str], *, is_wanted: bool) -> "_FoundScope":
        listed = self.calcom.list_webhooks(scope)
        if is_wanted:
            actions = decide(listed, self.wanted, ours=ours, rotate=self.rules.rotate)
        else:
            actions = release(listed, ours=ours)
        todo = tuple(action for action in actions if action.kind != "keep")
        first = actions[0] if actions else None
        result = ScopeResult(
            scope,
            "wrong" if todo else "right",
            _reason(todo) if todo else (first.reason if first else Reason("webhook_unwanted")),
            rotation_due=any(action.rotation_due for action in actions),
        )
        kept = first.webhook_id if first and is_wanted else None
        if not todo or not self.rules.may_write:
            return _FoundScope(replace(result, planned=tuple(a.kind for a in todo)), kept)
        for action in todo:
            kept = self._do(scope, action) or kept
        return _FoundScope(replace(result, state="right", done=tuple(a.kind for a in todo)), kept)

    def _do(self, scope: WebhookScope, action: SubscriptionAction) -> str | None:
        """The id of the subscription that is right now; None after one was removed."""
        if action.set_to is None:
            if action.webhook_id is not None:
                self.calcom.delete_webhook(action.webhook_id, scope)
            return None
        if action.webhook_id is None:
            return self.calcom.create_webhook(action.set_to, scope).id
        return self.calcom.update_webhook(action.webhook_id, action.set_to, scope).id

    def _noted(self, found: "_FoundScope", known: KnownScope | None, *, is_wanted: bool) -> ScopeResult | None:
        result = found.result
        if not is_wanted and result.state == "right":
            self.store.forget([result.scope])
            return result if result.done else None
        at = self.now()
        since = None
        if result.state == "right":
            unbroken = known is not None and known.state == "right" and not result.done
            since = known.since if known is not None and unbroken and known.since else at
        webhook_id = found.webhook_id or (known.webhook_id if known else None)
        reason = Reason("webhook_right") if result.done else result.reason
        self.store.keep(KnownScope(result.scope, result.state, reason, webhook_id, since, at))
        return result


@dataclass(frozen=True, slots=True)
class _FoundScope:
    result: ScopeResult
    webhook_id: str | None = None


def _reason(todo: tuple[SubscriptionAction, ...]) -> Reason:
    """What is wrong first."""
    return todo[0].reason
