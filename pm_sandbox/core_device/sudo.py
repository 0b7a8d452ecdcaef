"""The environment that a classic nucleus's components get: it starts each step by `sudo -n -E -H -u USER -g GROUP --`.

Also with `-E`, sudo removes what could make a program load code of its caller's. `sudo -V`, run as root, prints the
list under "Environment variables to remove" (1.9.13, Debian 12); a test compares them.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

#: Names that sudo removes, `*` for any text.
REMOVED_NAMES = (
    "IFS", "CDPATH", "LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES", "NLSPATH", "PATH_LOCALE", "LD_*", "_RLD*",
    "TERMINFO", "TERMINFO_DIRS", "TERMPATH", "TERMCAP", "ENV", "BASH_ENV", "PS4", "GLOBIGNORE", "BASHOPTS", "SHELLOPTS",
    "JAVA_TOOL_OPTIONS", "PERLIO_DEBUG", "PERLLIB", "PERL5LIB", "PERL5OPT", "PERL5DB", "FPATH", "NULLCMD",
    "READNULLCMD", "ZDOTDIR", "TMPPREFIX", "PYTHONHOME", "PYTHONPATH", "PYTHONINSPECT", "PYTHONUSERBASE", "RUBYLIB",
    "RUBYOPT",
)  # fmt: skip
#: The beginning of a value that sudo removes whatever its name is: a function for the shell.
_FUNCTION = "()"


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that sudo passes on."""
    return {
        name: value
        for name, value in environment.items()
        if not value.startswith(_FUNCTION) and not any(fnmatchcase(name, pattern) for pattern in REMOVED_NAMES)
    }
