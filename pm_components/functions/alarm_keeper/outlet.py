"""The way from the alarms to the people: one by one as long as they can follow, in a digest beyond that."""

import datetime as dt
from collections.abc import Callable

from pm_components.functions.alarm_keeper.alarms import Policy
from pm_components.functions.alarm_keeper.core import Notification
from pm_components.functions.alarm_keeper.digest_store import DigestStore
from pm_components.functions.alarm_keeper.digests import DigestDue, Gathered, digests
from pm_components.functions.alarm_keeper.timers import Timers
from pm_contracts.messages import Alert

#: Longer than the function may run: what was still under way when a window ended has arrived by then.
SECOND_LOOK_SECONDS = 60


class Outlet:
    """The notifications of all sites.

    Args:
        publish: brings a notification to the alert topic.
        store: the windows, and what waits for a digest.
        timers: the ends of the windows.
        policy: the limit.
        now: the time, UTC.
    """

    def __init__(
        self,
        publish: Callable[[Notification], None],
        store: DigestStore,
        timers: Timers,
        policy: Policy,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._publish = publish
        self._store = store
        self._timers = timers
        self._policy = policy
        self._now = now
        self._timed: tuple[str, int] | None = None

    def tell(self, notification: Notification, alert: Alert) -> bool:
        """Notify people of an alert's alarm now, or with the digest.

        Returns:
            True if it was now.
        """
        gathered = Gathered.of(notification, alert)
        limit = self._policy.mail_limit if gathered.is_urgent else (self._policy.mail_limit + 1) // 2
        number, ends_at = self._store.admit(alert.site, limit, self._now().timestamp())
        end = dt.datetime.fromtimestamp(ends_at, dt.UTC)
        if not number:
            # Before what it is for, so that nothing waits that nobody comes for; once a window in each process.
            if self._timed != (alert.site, ends_at):
                self._timers.begin(DigestDue(site=alert.site), end)
                self._timed = alert.site, ends_at
            self._store.gather(gathered, ends_at)
            return False
        if number == limit:
            what = "notifications" if gathered.is_urgent else "warnings and all-clears"
            note = f"Further {what} of {alert.site} are gathered until {end:%H:%M:%S} UTC; then a digest lists them."
            notification = notification._replace(text=f"{notification.text}\n\n{note}")
        self._publish(notification)
        return True

    def digest(self, due: DigestDue) -> str:
        """Notify people of all that a site has gathered; the word for what was done."""
        now = self._now()
        gathered = self._store.gathered(due.site, now.timestamp())
        if gathered or not due.again:
            second_look = now + dt.timedelta(seconds=SECOND_LOOK_SECONDS)
            self._timers.begin(DigestDue(site=due.site, again=True), second_look)
        for notification in digests(gathered.values(), self._policy, now):
            self._publish(notification)
        self._store.forget(due.site, list(gathered))
        return "Digested" if gathered else "Needless"
