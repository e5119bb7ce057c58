"""Run a program that may read nothing but itself, fonts and one folder, and that has no network.

LibreOffice's settings stop links to the network, but not every picture that a file names by its
path: in version 7.4 those of RTF files and of presentations still get in. On Linux from 5.13 the
kernel stops them ("Landlock"), and needs no privileges for that.

Run as a script, by its path, so that the limits hold from the program's first instruction:
`python office_sandbox.py PARENT FOLDER MEMORY SECONDS PROGRAM ARGUMENT...`, where PARENT is the
process that does so. It imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
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
# How many rights over files each version of Landlock knows, and from when it knows TCP and scopes.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW, _TCP_SINCE, _SCOPES_SINCE = 16, 4, 6
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11

_PROGRAMS = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/opt", "/snap", "/nix/store")
_SETTINGS = (
    *("/etc/fonts", "/etc/libreoffice", "/etc/ld.so.cache", "/etc/localtime"),
    *("/var/lib/libreoffice", "/var/spool/libreoffice"),
    *("/var/cache/fontconfig", "/dev/urandom", "/sys/devices/system/cpu"),
)


def is_available() -> bool:
    """Whether this system can hold a program in."""
    return _version() > 0


def command(folder: Path, memory: int, seconds: float, program: list[str]) -> list[str]:
    """The command that runs a program within its limits.

    Args:
        folder: What it may read and write.
        memory: Bytes that it may take.
        seconds: Of processor time that it may take; who started it may be killed before it ends.
        program: Its path and its arguments.
    """
    limits = str(folder), str(memory), str(ceil(seconds))
    return [sys.executable, "-I", __file__, str(os.getpid()), *limits, *program]


def end_with_parent(parent: int, how: signal.Signals) -> None:
    """Have the kernel send this process a signal when the one that started it ends; only on Linux.

    Args:
        parent: The process that started this one, which may be gone already.
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


def _hold_in(folder: str, version: int) -> None:
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
    # LibreOffice listens to its own kind there, whatever TMPDIR says, or does not start.
    _allow(rules, "/tmp", _MAKE_SOCKET | _REMOVE_FILE)
    for path in (*_PROGRAMS, *_SETTINGS):
        if Path(path).exists():
            _allow(rules, path, _READ & rights)
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(int(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)))
    _checked(_landlock(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    allowed = rights if Path(path).is_dir() else rights & _OF_FILES
    _checked(_landlock(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", allowed, place), 0))
    os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _main() -> None:
    """Start the program, wait for it, and end all that it started when nobody wants it any more."""
    signal.signal(signal.SIGTERM, _end_all)
    parent, folder, memory, seconds, *program = sys.argv[1:]
    end_with_parent(int(parent), signal.SIGTERM)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _limit(int(memory), int(seconds))
        _hold_in(folder, _version())
        os.execv(program[0], program)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _end_all(*_: object) -> None:
    # The program is a script that starts others. All are of this process's group, which is its own
    # because it was started in a session of its own.
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
