"""The replayer: a site's past, as individual readings on the history channel, when a command asks for it."""
