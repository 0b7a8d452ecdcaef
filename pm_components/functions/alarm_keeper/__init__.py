"""The alarm keeper: keeps the alarms, and brings each alert of a site to the alert topic's subscribers, once."""
