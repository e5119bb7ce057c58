"""Run LibreOffice so that it can only read one folder and its own installation.

The settings of LibreOffice stop links to the network, but not every picture that a file names by
its path: version 7.4 still loads those of RTF files and presentations. On Linux 5.13 and later the
kernel stops them with Landlock, which needs no privileges. Readable are LibreOffice's own folders,
shared libraries, programs, fonts, and data about languages and time zones, and nothing else in
/home, /opt, /usr/local, /usr/share or /etc. On Linux 6.7 and later the network is blocked too.

Run as a script, by its path, so that the limits hold from the first instruction of the program:
`python sandbox.py PARENT FOLDER MEMORY SECONDS PROGRAM ARGUMENT...`, where PARENT is the
calling process. It only imports the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import re
import signal
import struct
import sys
from math import ceil
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH, _VERSION = 1, 1
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_SOCKET, _TRUNCATE = 1 << 5, 1 << 9, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
# Number of file rights in each version of Landlock, and the first versions with TCP and scopes.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW, _TCP_SINCE, _SCOPES_SINCE = 16, 4, 6
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11

# Usual installation folders, for systems where the program is a script elsewhere.
_INSTALLED = ("/usr/lib/libreoffice", "/usr/lib64/libreoffice", "/opt/libreoffice*")
_PARTS = ("program", "share", "presets", "ure")
# Systems that spread programs over a tree which contains installed software only.
_SOFTWARE_TREES = ("/nix/store", "/gnu/store", "/snap")
_COMMANDS = ("/bin", "/usr/bin")  # commands used by the start script
_DATA = (
    *("/etc/fonts", "/etc/libreoffice", "/etc/ld.so.cache", "/etc/ld-musl-*", "/etc/localtime"),
    *("/usr/share/libreoffice", "/var/lib/libreoffice", "/var/spool/libreoffice"),
    *("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/fontconfig"),
    *("/usr/share/X11/fonts", "/usr/share/ghostscript/fonts", "/var/cache/fontconfig"),
    *("/usr/lib/locale", "/usr/share/locale", "/usr/share/zoneinfo", "/usr/share/icu"),
    *("/usr/share/hunspell", "/usr/share/hyphen", "/usr/share/myspell", "/usr/share/mythes"),
    *("/usr/share/libexttextcat", "/usr/share/liblangtag", "/usr/share/libnumbertext"),
    *("/usr/share/libthai", "/usr/lib/gconv", "/usr/lib*/gconv", "/usr/lib/*-linux-*/gconv"),
    *("/dev/urandom", "/sys/devices/system/cpu"),
)
_LIBRARIES = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/lib/*-linux-*", "/usr/lib/*-linux-*", "/usr/lib/*-linux-*/*", "/usr/lib64/*"),
)
_LIBRARY = re.compile(r".+\.so(\.[\w.]+)?")


def is_available() -> bool:
    """Whether this system has Landlock."""
    return _version() > 0


def command(folder: Path, memory: int, seconds: float, program: list[str]) -> list[str]:
    """The command line that runs a program in the sandbox.

    Args:
        folder: The folder that it may read and write.
        memory: Most memory, in bytes.
        seconds: Most processor time, in seconds, which holds even if the calling process is killed.
        program: Its path and its arguments.
    """
    limits = str(folder), str(memory), str(ceil(seconds))
    return [sys.executable, "-I", __file__, str(os.getpid()), *limits, *program]


def end_with_parent(parent: int, how: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends. Linux only.

    Args:
        parent: The process that started this one, which may have ended already.
        how: The signal.
    """
    _checked(int(ctypes.CDLL(None, use_errno=True).prctl(_PARENT_DEATH_SIGNAL, int(how), 0, 0, 0)))
    if os.getppid() != parent:
        os.kill(os.getpid(), how)


def _version() -> int:
    return _landlock(_CREATE_RULESET, None, 0, _VERSION) if sys.platform == "linux" else 0


def _landlock(number: int, *arguments: object) -> int:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    return int(syscall(number, *arguments))


def _hold_in(folder: str, version: int, program: str) -> None:
    rights = (1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS_NOW)) - 1
    wanted = struct.pack(
        "QQQ",
        rights,
        _ALL_TCP if version >= _TCP_SINCE else 0,
        _ALL_SCOPES if version >= _SCOPES_SINCE else 0,
    )
    rules = _checked(_landlock(_CREATE_RULESET, wanted, len(wanted), 0))
    _allow(rules, folder, rights)
    _allow(rules, "/dev/null", rights)
    # LibreOffice needs a socket there to start, whatever TMPDIR says.
    _allow(rules, "/tmp", _MAKE_SOCKET | _REMOVE_FILE)
    for path in (program, *_installation(program), *_matching(_DATA)):
        _allow(rules, path, _READ & rights)
    for path in _COMMANDS:
        _allow(rules, path, (_EXECUTE | _READ_FILE) & rights)
    for path in _libraries():
        _allow(rules, path, (_EXECUTE | _READ_FILE) & rights)
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(int(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)))
    _checked(_landlock(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _installation(program: str) -> list[str]:
    """The folders of the LibreOffice installation."""
    real = Path(program).resolve()
    trees = [tree for tree in _SOFTWARE_TREES if real.is_relative_to(tree)]
    roots = [str(real.parent.parent)] if real.with_name("soffice.bin").exists() else []
    parts = [f"{root}/{part}" for root in roots or _matching(_INSTALLED) for part in _PARTS]
    return [*trees, *parts]


def _libraries() -> set[str]:
    """The shared libraries of the system, without other files in their folders."""
    given = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    found: set[str] = set()
    for folder in {os.path.realpath(path) for path in (*_matching(_LIBRARIES), *given)}:
        with contextlib.suppress(OSError), os.scandir(folder) as inside:
            found |= {os.path.realpath(each) for each in inside if _LIBRARY.fullmatch(each.name)}
    return found


def _matching(patterns: tuple[str, ...]) -> list[str]:
    return [path for pattern in patterns for path in glob.glob(pattern)]  # noqa: PTH207


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # the path does not exist on every system
    allowed = rights if Path(path).is_dir() else rights & _OF_FILES
    _checked(_landlock(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", allowed, place), 0))
    os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _main() -> None:
    """Start the program and wait for it; kill everything it started when the parent ends."""
    signal.signal(signal.SIGTERM, _end_all)
    parent, folder, memory, seconds, *program = sys.argv[1:]
    end_with_parent(int(parent), signal.SIGTERM)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _limit(int(memory), int(seconds))
        _hold_in(folder, _version(), program[0])
        os.execv(program[0], program)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _end_all(*_: object) -> None:
    # The program is a script that starts others. All are in the process group of this process,
    # which was started in its own session.
    os.killpg(0, signal.SIGKILL)


def _limit(memory: int, seconds: int) -> None:
    import resource

    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        _, most = resource.getrlimit(kind)
        least = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (least, least))


if __name__ == "__main__":
    _main()
