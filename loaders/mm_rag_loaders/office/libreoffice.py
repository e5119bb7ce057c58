"""Convert office files with LibreOffice, kept from macros, links, the network and other files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from xml.sax.saxutils import escape

from mm_rag._temporary import TemporaryFolder
from mm_rag.errors import (
    MediaTooLarge,
    MissingExtra,
    PasswordNeeded,
    SourceForbidden,
    UnreadableMedia,
)
from mm_rag.media.access import opened
from mm_rag.media.kind import LOCKED_OFFICE, file_type, office_suffix, unpacked_bytes
from mm_rag.media.policy import MediaPolicy
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import SourceFile
from mm_rag_loaders.office import sandbox
from mm_rag_loaders.pdf import PDFLoader

_PROGRAMS = ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice")

_Setting: TypeAlias = str | bool | int

# Proxy settings that lead nowhere: nothing listens on port 9 ("discard") of this machine.
_NOWHERE_HOST, _NOWHERE_PORT = "127.0.0.1", 9
_SETTINGS: Mapping[str, Mapping[str, _Setting]] = {
    "Office.Common/Security/Scripting": {
        "BlockUntrustedRefererLinks": True,
        "DisableActiveContent": True,
        "DisableMacrosExecution": True,
        "MacroSecurityLevel": 3,
    },
    "Office.Common/Misc": {"FirstRun": False},
    # Forms are printed as they look, without fields; slides that a show leaves out are printed.
    "Office.Common/Filter/PDF/Export": {"ExportFormFields": False, "ExportHiddenSlides": True},
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


def find_program() -> str:
    """Path of the LibreOffice program.

    Raises:
        MissingExtra: LibreOffice is not installed.
    """
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    raise MissingExtra(
        "Office files need LibreOffice, which is not installed: install libreoffice-writer, "
        "libreoffice-impress and libreoffice-calc with your system's package manager."
    )


@contextmanager
def copied(file: SourceFile, policy: MediaPolicy) -> Generator[Path]:
    """A copy of a file in a temporary folder, with the suffix of its type.

    Raises:
        PasswordNeeded: The file is locked.
        MediaTooLarge: It unpacks to more bytes than the policy allows.
        UnreadableMedia: It is not an office file.
    """
    suffix = _checked_suffix(file, policy)
    with TemporaryFolder() as folder:
        copy = Path(folder.path, "in", _plain_name(file) + suffix)
        copy.parent.mkdir()
        with file.opened.reader() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


@contextmanager
def printed(
    copy: Path, file: SourceFile, options: LoadOptions
) -> Generator[tuple[PDFLoader, SourceFile]]:
    """Convert a copy to PDF; yield the loader and the file to read it with.

    Args:
        copy: The copy of `copied`, or a file beside it.
        file: The file that was copied: messages name it.
        options: Options for reading the PDF.

    Raises:
        MissingExtra: LibreOffice is not installed.
        SourceForbidden: LibreOffice cannot be kept from files outside the policy's `roots`.
        MediaTooLarge: It takes longer than the policy allows.
        UnreadableMedia: LibreOffice cannot open it.
    """
    pdf = converted(copy, file, options.policy)
    named = pdf.parent / "named" / (Path(file.name).name or "document")
    named.parent.mkdir(exist_ok=True)
    with suppress(OSError):  # a name that this system does not allow
        pdf = pdf.rename(named)
    # The temporary folder is not in the policy's `roots`.
    inside = replace(options, policy=replace(options.policy, roots=None))
    with opened(pdf) as reading:
        yield PDFLoader(inside), replace(file, opened=reading)


def converted(copy: Path, file: SourceFile, policy: MediaPolicy, to: str = "pdf") -> Path:
    """Convert a copy of `copied` to another format. Raises as `printed`."""
    find_program()
    if policy.roots is not None and not sandbox.is_available():
        raise SourceForbidden(
            f"{file.name} is not opened: nothing would keep LibreOffice from files outside of "
            "MediaPolicy.roots. That takes Linux 5.13 or newer, with Landlock."
        )
    return convert(copy, copy.parent.parent, file.name, policy, to)


def _checked_suffix(file: SourceFile, policy: MediaPolicy) -> str:
    """The usual suffix for a file of this type, after checking that it may be unpacked."""
    mime = file_type(file.opened, policy).mime
    if mime == LOCKED_OFFICE:
        raise PasswordNeeded(
            f"{file.name} is locked with a password, and LibreOffice cannot be given one here: "
            "save it without."
        )
    suffix = office_suffix(mime)
    if suffix is None:  # LibreOffice opens any bytes as a spreadsheet
        raise UnreadableMedia(f"{file.name} is damaged, or no office file.")
    with file.opened.reader() as reader:
        unpacked = unpacked_bytes(reader)
    if unpacked > policy.max_bytes:
        raise MediaTooLarge(
            f"{file.name} unpacks to {unpacked:,} bytes; MediaPolicy.max_bytes allows "
            f"{policy.max_bytes:,}."
        )
    return suffix


def _plain_name(file: SourceFile) -> str:
    return re.sub(r"[^\w .-]", "_", Path(file.name).stem)[:50] or "document"


def convert(copy: Path, folder: Path, name: str, policy: MediaPolicy, to: str = "pdf") -> Path:
    """Convert a file to PDF or to another format.

    Args:
        copy: The file, in `folder`, with the suffix of its type.
        folder: The only folder that LibreOffice may read and write.
        name: Name of the file in messages.
        policy: Limits on time and memory.
        to: The new format as for LibreOffice's `--convert-to`: its suffix without the dot, after
            which a filter and its options may follow: `"csv:Text - txt - csv (StarCalc):44,34,76"`.

    Raises:
        MissingExtra: LibreOffice is not installed.
        MediaTooLarge: The conversion takes too long.
        UnreadableMedia: LibreOffice cannot open the file.
    """
    profile, output = folder / "profile", folder / "out"
    if not profile.exists():
        write_profile(profile)
    command = [
        find_program(),
        f"-env:UserInstallation={profile.as_uri()}",
        *("--headless", "--norestore", "--nolockcheck", "--nologo", "--nodefault"),
        *("--convert-to", to, "--outdir", str(output), str(copy)),
    ]
    if sandbox.is_available():
        limits = policy.max_memory, policy.max_load_seconds
        command = sandbox.command(folder, *limits, command)
    try:
        complaint = _run(command, folder, policy)
    except subprocess.TimeoutExpired as error:
        raise MediaTooLarge(
            f"{name} takes LibreOffice longer than {policy.max_load_seconds:g} s "
            "(MediaPolicy.max_load_seconds)."
        ) from error
    except OSError as error:
        raise UnreadableMedia(f"LibreOffice cannot be started: {error.strerror}.") from error
    made = output / f"{copy.stem}.{to.partition(':')[0]}"
    if not made.is_file():
        raise UnreadableMedia(
            f"LibreOffice cannot open {name}: it is damaged, or locked with a password"
            + (f" ({complaint})." if complaint else ".")
        )
    return made


def _run(command: list[str], folder: Path, policy: MediaPolicy) -> str:
    """Run LibreOffice; return the last line of its standard error."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, stderr = process.communicate(timeout=policy.max_load_seconds)
        finally:
            _kill_group(process)
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and its children: it is a script that starts another program."""
    if os.name == "nt":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def write_profile(folder: Path) -> None:
    """Create a LibreOffice profile that turns off macros, links and the network.

    Every file gets a new one, so that neither the user's settings nor earlier files matter.
    """
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
    """Environment variables for LibreOffice, without secrets of this process."""
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
