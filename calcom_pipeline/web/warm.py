"""What is warm is answered from the event loop: all who ask while it looks are answered together by its next look.

A thread of the pool for each would be waited for, woken and waited for again; most answers take less than that. What
is not warm is left to the pool, and so is everything while Redis does not answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from calcom_pipeline.app.availability.looking import Wanted
from calcom_pipeline.domain.errors import PipelineError
from calcom_pipeline.web.ports import FreeSlots

Look = Callable[[Sequence[Wanted]], Awaitable[Sequence[FreeSlots | None]]]


@dataclass(frozen=True, slots=True)
class _Asker:
    wanted: Wanted
    answer: "asyncio.Future[FreeSlots | None]"


class WarmAnswers:
    """Used from one event loop. `look` answers what is warm, None for the others."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._next: list[_Asker] = []
        self._looking: asyncio.Task[None] | None = None

    async def ask(self, wanted: Wanted) -> FreeSlots | None:
        """The answer; None where it is not warm."""
        loop = asyncio.get_running_loop()
        asker = _Asker(wanted, loop.create_future())
        self._next.append(asker)
        if self._looking is None:
            # A task begins with the next turn of the loop: whoever has asked by then belongs to the same look.
            self._looking = loop.create_task(self._answer_all())
        return await asker.answer

    async def _answer_all(self) -> None:
        try:
            while self._next:
                askers, self._next = self._next, []
                await self._answer(askers)
        finally:
            self._looking = None

    async def _answer(self, askers: list[_Asker]) -> None:
        try:
            answers = await self._look([asker.wanted for asker in askers])
        except PipelineError:
            answers = [None] * len(askers)
        except BaseException as error:  # a bug is told to each who asked; nobody may wait for ever
            for asker in askers:
                if not asker.answer.done():
                    asker.answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for asker, answer in zip(askers, answers, strict=True):
            if not asker.answer.done():  # whoever asked may be gone
                asker.answer.set_result(answer)
