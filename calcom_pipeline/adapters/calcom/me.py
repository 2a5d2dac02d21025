"""Who the key is: `/v2/me`, its teams, its schedules. These endpoints answer to any version but schedules."""

from calcom_pipeline.adapters.calcom import schemas
from calcom_pipeline.adapters.calcom.endpoint import ApiEndpoints, EndpointGroup
from calcom_pipeline.domain.errors import NotFound, Rejected
from calcom_pipeline.domain.listed import Listed
from calcom_pipeline.domain.models import Profile, Schedule, Team

ACCOUNT = EndpointGroup("account", None)
SCHEDULES = EndpointGroup("schedules", "2024-06-11")


class AccountEndpoints(ApiEndpoints):
    """Reads of the account."""

    groups = (ACCOUNT, SCHEDULES)

    def me(self) -> Profile:
        """The key's own user."""
        answer = self._get("Reading the account", "/me", group=ACCOUNT)
        return schemas.account(answer.data(), answer.exchange)

    def teams(self) -> Listed[Team]:
        """The teams that user belongs to."""
        answer = self._get("Listing teams", "/teams", group=ACCOUNT)
        return schemas.teams(answer.content, answer.exchange)

    def is_refused_by(self, team_id: int) -> bool:
        """Whether a team that the list of teams lacks lets this key in no more: its members are a 403 or a 404 then.

        Its event types would prove nothing: anybody may list those (fact sheet 1.2).
        """
        try:
            self._get("Listing memberships", f"/teams/{team_id}/memberships", group=ACCOUNT)
        except (NotFound, Rejected):
            return True
        return False

    def role_in(self, team_id: int) -> str:
        """The user's role in a team, in capitals; empty when it cannot be seen. One call, and once that of `me`."""
        try:
            answer = self._get("Listing memberships", f"/teams/{team_id}/memberships", group=ACCOUNT)
        except (NotFound, Rejected):
            return ""
        return schemas.role_of(self._own_account().user_id, answer.data(), answer.exchange)

    def schedules(self) -> Listed[Schedule]:
        """The user's own schedules."""
        answer = self._get("Listing schedules", "/schedules", group=SCHEDULES)
        return schemas.schedules(answer.content, answer.exchange)

    def schedule(self, schedule_id: int) -> Schedule | None:
        """One schedule; None when it is gone or somebody else's."""
        try:
            answer = self._get("Reading a schedule", f"/schedules/{schedule_id}", group=SCHEDULES)
        except (NotFound, Rejected):
            return None
        return schemas.schedule(answer.data(), answer.exchange)

    def _known_schedules(self) -> Listed[Schedule]:
        return self._context.remembered.get("schedules", self.schedules)

    def _known_schedule(self, schedule_id: int) -> Schedule | None:
        return self._context.remembered.get(f"schedule {schedule_id}", lambda: self.schedule(schedule_id))

    def _own_account(self) -> Profile:
        return self._context.remembered.get("me", self.me)
