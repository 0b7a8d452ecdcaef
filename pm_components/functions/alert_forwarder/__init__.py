"""The alert forwarder: brings each alert of a site to the alert topic's subscribers, once."""
