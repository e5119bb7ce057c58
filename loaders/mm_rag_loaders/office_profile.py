"""The settings that LibreOffice opens the files of strangers with: no macros, no links, no network.

Every conversion gets a profile of its own: settings of the machine's user, and what another file
left behind, have no say in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias
from xml.sax.saxutils import escape

_Setting: TypeAlias = str | bool | int

# Nothing listens on port 9 ("discard") of this machine: what asks the network ends there.
_NOWHERE_HOST, _NOWHERE_PORT = "127.0.0.1", 9
_SETTINGS: Mapping[str, Mapping[str, _Setting]] = {
    "Office.Common/Security/Scripting": {
        "BlockUntrustedRefererLinks": True,
        "DisableActiveContent": True,
        "DisableMacrosExecution": True,
        "MacroSecurityLevel": 3,
    },
    "Office.Common/Misc": {"FirstRun": False},
    "Office.Java/VirtualMachine": {"Enable": False},
    # In Writer "never" is 0; in Calc it is 1, and 1 is also "do not calculate anew".
    "Office.Writer/Content/Update": {"Link": 0},
    "Office.Calc/Content/Update": {"Link": 1},
    "Office.Calc/Formula/Load": {"ODFRecalcMode": 1, "OOXMLRecalcMode": 1},
    "Inet/Settings": {
        "ooInetProxyType": 2,
        "ooInetNoProxy": "",
        **{f"ooInet{scheme}ProxyName": _NOWHERE_HOST for scheme in ("HTTP", "HTTPS", "FTP")},
        **{f"ooInet{scheme}ProxyPort": _NOWHERE_PORT for scheme in ("HTTP", "HTTPS", "FTP")},
    },
}
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")


def write_profile(folder: Path) -> None:
    """Make a folder a LibreOffice profile with these settings."""
    user = folder / "user"
    user.mkdir(parents=True)
    items = "".join(
        _item(path, name, value)
        for path, settings in _SETTINGS.items()
        for name, value in settings.items()
    )
    (user / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry">\n'
        f"{items}</oor:items>\n",
        encoding="utf-8",
    )


def environment(home: Path) -> dict[str, str]:
    """The variables that LibreOffice is started with: none of this process's secrets."""
    nowhere = f"http://{_NOWHERE_HOST}:{_NOWHERE_PORT}"
    return {
        **{name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        **dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"), nowhere),
        "HOME": str(home),
        "TMPDIR": str(home),
        "TEMP": str(home),
        "LANG": "C.UTF-8",
        "SAL_USE_VCLPLUGIN": "svp",
    }


def _item(path: str, name: str, value: _Setting) -> str:
    written = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return (
        f'<item oor:path="/org.openoffice.{path}"><prop oor:name="{name}" oor:op="fuse">'
        f"<value>{written}</value></prop></item>\n"
    )
