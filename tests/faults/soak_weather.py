"""Carrying out a soak's plan, with a record of what was done when and what came of it.

A fault counts once it has struck: the stand-in says so of its own, a line when it held something back or had somebody
to cut off. What met nobody, or went with a stand-in that was killed, is done again.
"""

import heapq
import http.client
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from calcom_pipeline.sandbox.testing import ControlError
from tests.faults.daemon_stage import Away
from tests.faults.soak_plan import READS_ROWS, Blow
from tests.faults.soak_stage import MEMBER, OWNER, SoakStage

TICK_SECONDS: Final = 0.1
#: A fault of the stand-in waits so long for somebody to strike; then it is withdrawn, and put in force again.
PATIENCE_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 2.0
PROGRESS_SECONDS: Final = 60.0
#: The key that two of three accounts share.
OWNERS_SHARE: Final = 2 / 3
#: What is left to do is done within so much more time, a part of the plan's.
LONGER: Final = 2.0
_BROKEN = OSError, ControlError, ValueError, http.client.HTTPException


@dataclass
class UnderWay:
    """A blow that has begun. `over` says None while it goes on, then whether it struck."""

    blow: Blow
    over: Callable[[], bool | None]
    withdraw: Callable[[], object]


@dataclass
class Weather:
    """One soak's. `struck` counts what did, by its name."""

    stage: SoakStage
    record: Path
    struck: Counter[str] = field(default_factory=Counter[str])
    kills: Counter[str] = field(default_factory=Counter[str])
    _under_way: list[UnderWay] = field(default_factory=list[UnderWay])
    _began: float = 0.0
    _progress_at: float = PROGRESS_SECONDS

    def rage(self, plan: list[Blow]) -> float:
        """All of it; in how many seconds."""
        waiting = [(blow.at, number, blow) for number, blow in enumerate(plan)]
        heapq.heapify(waiting)
        self._began = time.monotonic()
        latest = (plan[-1].at if plan else 0.0) * (1 + LONGER) + PATIENCE_SECONDS
        while (waiting or self._under_way) and self._now() < latest:
            self.stage.keep()
            while waiting and waiting[0][0] <= self._now():
                _, number, blow = heapq.heappop(waiting)
                if not self._begin(blow):
                    heapq.heappush(waiting, (self._now() + AGAIN_SECONDS, number, blow))
                    break
            for number, blow in enumerate(self._ended(), start=len(plan) * 2):
                heapq.heappush(waiting, (self._now() + AGAIN_SECONDS, number, blow))
            self._tell_progress(len(waiting) + len(self._under_way), len(plan))
            time.sleep(TICK_SECONDS)
        for left in self._under_way:
            with suppress(*_BROKEN):
                left.withdraw()
        self._under_way.clear()
        self._note("over", f"{len(waiting)} of {len(plan)} were not done in time")
        return self._now()

    # --- each kind -----------------------------------------------------------------------------------------

    def _begin(self, blow: Blow) -> bool:
        """Whether it has begun; False: whom it means is not there at this moment."""
        ways = {
            "kill": self._kill, "cut": self._cut, "half-open": self._half_open, "clock": self._clock,
            "disk full": self._disk, "API": self._fault, "webhook": self._fault,
        }  # fmt: skip
        try:
            begun = ways[blow.kind](blow)
        except _BROKEN as error:
            self._note(blow.name, f"not begun: {type(error).__name__}")
            return False
        if begun is None:
            return False
        self._note(blow.name, "begun" if begun.over() is None else "done")
        self._under_way.append(begun)
        return True

    def _kill(self, blow: Blow) -> UnderWay | None:
        killed = self.stage.strike_now(blow.what, lambda pids: pids[int(blow.share * len(pids))])
        if not killed:
            return None
        self.kills[blow.what] += 1
        return UnderWay(blow, lambda: True, lambda: None)

    def _cut(self, blow: Blow) -> UnderWay | None:
        return UnderWay(blow, lambda: True, lambda: None) if self.stage.lines[blow.what].cut() else None

    def _half_open(self, blow: Blow) -> UnderWay:
        """Nothing passes for a while, and then those lines are dead: what was under way never arrives."""
        line = self.stage.lines[blow.what]
        line.held_something.clear()
        line.stall()

        def withdraw() -> None:
            line.cut()
            line.flow()

        return UnderWay(blow, self._after(blow.lasting, line.held_something.is_set), withdraw)

    def _clock(self, blow: Blow) -> UnderWay:
        clock = self.stage.folder / "clock"
        clock.write_text(str(dict(blow.details)["seconds"]))
        return UnderWay(blow, self._after(blow.lasting), lambda: clock.write_text("0"))

    def _disk(self, blow: Blow) -> UnderWay:
        self.stage.disk.fill()
        return UnderWay(blow, self._after(blow.lasting), self.stage.disk.empty)

    def _fault(self, blow: Blow) -> UnderWay:
        """Of the stand-in, for one of our keys, for any list of bookings, or for any delivery."""
        url, control = self.stage.sandbox()
        details = dict(blow.details)
        if blow.kind == "API" and details.get("endpoint") != READS_ROWS:
            details["key"] = OWNER if blow.share < OWNERS_SHARE else MEMBER
        fault = control.add_fault(blow.what, details.pop("endpoint", "*"), **details)
        until = time.monotonic() + PATIENCE_SECONDS

        def over() -> bool | None:
            try:
                if self.stage.sandbox()[0] != url:
                    return False
                rules = {rule["id"]: rule["struck"] for rule in control.ask("GET", "/faults")}
            except Away:
                return None
            if rules.get(fault, 0) >= details["count"]:
                return True
            return bool(rules.get(fault)) if fault not in rules or time.monotonic() > until else None

        def withdraw() -> None:
            if self.stage.sandbox()[0] == url:
                control.remove_fault(fault)

        return UnderWay(blow, over, withdraw)

    # --- inside --------------------------------------------------------------------------------------------

    def _ended(self) -> list[Blow]:
        """Take what is over out of force; blows that did not strike."""
        again: list[Blow] = []
        for one in list(self._under_way):
            try:
                struck = one.over()
                if struck is None:
                    continue
                one.withdraw()
            except _BROKEN as error:
                self._note(one.blow.name, f"not ended: {type(error).__name__}")
                struck = False
            self._under_way.remove(one)
            self.struck[one.blow.name] += struck
            self._note(one.blow.name, "struck" if struck else "met nobody")
            again += [] if struck else [one.blow]
        return again

    def _tell_progress(self, left: int, planned: int) -> None:
        """A line a minute."""
        if self._now() < self._progress_at:
            return
        self._progress_at = self._now() + PROGRESS_SECONDS
        self.stage.count()
        print(
            f"{time.strftime('%H:%M:%S')} {self._now() / 60:.0f} min: {planned - left} of {planned} blows done, "
            f"{sum(self.kills.values())} kills, {self.stage.calls} calls, {self.stage.room()}",
            flush=True,
        )

    def _after(self, seconds: float, struck: Callable[[], bool] = lambda: True) -> Callable[[], bool | None]:
        until = time.monotonic() + seconds
        return lambda: None if time.monotonic() < until else struck()

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _note(self, name: str, came: str) -> None:
        line: dict[str, Any] = {"at": round(self._now(), 2), "clock": time.strftime("%H:%M:%S"), "what": name}
        with self.record.open("a") as file:
            file.write(json.dumps(line | {"came": came}) + "\n")
