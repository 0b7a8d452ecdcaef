"""The announcer: makes of each alert a recording that the plant can play on its floor."""
