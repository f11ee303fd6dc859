"""Another login for a guest that runs: the wanted one is added, and the former one removed when the wanted one is proven.

What of that is not finished yet the guest remembers in a file, so that no run has to guess whose a key is: of those lines, and of no
others, keys are ever removed. Users are ours that the seed or this module made: their comment field says `meshctl`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.base.shell import Shell

RECORD = "/var/lib/meshctl/logins"
"""The logins that a change is about, one a line: user, kind of key, key. There from before the first step to after the last."""

# Reads only: the keys of the user "$1" become one more file to look at. Needs no process.
READ_KEYS = """
user=$1; shift
if [ -n "$user" ]; then
  while IFS=: read -r name _ _ _ _ home _; do
    if [ "$name" = "$user" ]; then set -- "$@" "$home/.ssh/authorized_keys"; fi
  done < /etc/passwd
fi
"""

_HOME = """
set -eu
umask 077
home() { getent passwd "$1" | cut -d: -f6; }
put() { chown "$1:$(id -gn "$1")" "$2.meshctl"; chmod 600 "$2.meshctl"; mv -f "$2.meshctl" "$2"; }
"""

# $1: user, $2: the line for authorized_keys, $3: its key, $4: `make` for one who may have to be made, as the seed has it made.
_ADD = f"""{_HOME}
entry=$(getent passwd "$1") || entry=
if [ "$4" = make ] && [ -n "$entry" ] && [ "$(printf %s "$entry" | cut -d: -f5)" != meshctl ]; then
  echo "there is a user $1 already that meshctl did not make" >&2
  exit 3
fi
if [ -z "$entry" ]; then useradd --create-home --shell /bin/bash --comment meshctl "$1"; fi
if [ "$4" = make ]; then
  printf '%s ALL=(ALL) NOPASSWD:ALL\\n' "$1" > "/etc/sudoers.d/90-meshctl-$1.new"
  chmod 440 "/etc/sudoers.d/90-meshctl-$1.new"
  mv -f "/etc/sudoers.d/90-meshctl-$1.new" "/etc/sudoers.d/90-meshctl-$1"
fi
folder=$(home "$1")/.ssh
install -d -m 700 -o "$1" -g "$(id -gn "$1")" "$folder"
keys=$folder/authorized_keys
if grep -sv '^[[:space:]]*#' "$keys" | grep -qF -- "$3"; then exit 0; fi
{{ if [ -e "$keys" ]; then sed -e '$a\\' "$keys"; fi; printf '%s\\n' "$2"; }} > "$keys.meshctl"
put "$1" "$keys"
"""

# $1: user, $2: the key, $3: the user who stays. One that others have keys for, or that somebody else made, stays too.
_REMOVE = f"""{_HOME}
folder=$(home "$1")/.ssh
keys=$folder/authorized_keys
if [ "$folder" = /.ssh ]; then exit 0; fi
if [ -e "$keys" ]; then
  grep -vF -- "$2" "$keys" > "$keys.meshctl" || [ $? = 1 ]
  put "$1" "$keys"
fi
if [ "$1" = "$3" ]; then exit 0; fi
if [ "$(getent passwd "$1" | cut -d: -f5)" != meshctl ]; then echo "meshctl did not make it"; exit 0; fi
if grep -qsvE '^[[:space:]]*(#|$)' "$keys"; then echo "others have keys for it"; exit 0; fi
rm -f "/etc/sudoers.d/90-meshctl-$1"
seed=/etc/sudoers.d/90-cloud-init-users
if [ -e "$seed" ]; then
  awk -v user="$1" '$1 != user' "$seed" > "$seed.new"
  chmod 440 "$seed.new"
  mv -f "$seed.new" "$seed"
fi
userdel --force "$1"
"""

_USERDEL_S = 60.0


@dataclass(frozen=True)
class Login:
    """A user and the public key that lets him in, as one line; `name` is what people call the key, a file for example."""

    user: str
    public: str
    name: str = ""

    @property
    def key(self) -> str:
        """The key itself, without kind and comment."""
        return self.public.split()[1]

    def is_(self, other: Login) -> bool:
        """Whether it is the same login, however it is named."""
        return (self.user, self.key) == (other.user, other.key)

    def __str__(self) -> str:
        return f"{self.user} by {self.name or f'{self.public.split()[0]} …{self.key[-12:]}'}"


def left_logins(text: str, former: Login | None) -> tuple[Login, ...]:
    """The logins that a change is not finished with: those that the guest remembers, and the former one where it is still let in. Pure:
    `text` is what grep gave of the files, each line with its file's name before it.
    """
    record = [line.removeprefix(f"{RECORD}:").split() for line in text.splitlines() if line.startswith(f"{RECORD}:")]
    found = [Login(words[0], " ".join(words[1:])) for words in record if len(words) == 3]
    if former is not None and any(_lets_in(line, former) for line in text.splitlines()):
        found = [former, *(one for one in found if not one.is_(former))]
    return tuple(found)


def _lets_in(line: str, login: Login) -> bool:
    file, _, entry = line.partition("/.ssh/authorized_keys:")
    return file.startswith("/") and not entry.lstrip().startswith("#") and login.key in entry.split()


def add_login(shell: Shell, wanted: Login, leaving: Iterable[Login], *, make: bool) -> None:
    """Lets a login in beside those that leave, after noting all of them; `make`: also makes the user, with sudo. Raises CommandFailed."""
    lines = {f"{one.user} {' '.join(one.public.split()[:2])}": None for one in (wanted, *leaving)}
    shell.put(RECORD, "".join(f"{line}\n" for line in lines).encode())
    words = [wanted.user, wanted.public, wanted.key, "make" if make else "keep"]
    shell.run(["sh", "-c", _ADD, "login", *words], within_s=_USERDEL_S)


def remove_login(shell: Shell, login: Login, wanted: Login) -> str:
    """Takes a key away, and its user where he is another than the wanted one; why he stays, if he does. Raises CommandFailed."""
    argv = ["sh", "-c", _REMOVE, "login", login.user, login.key, wanted.user]
    return shell.run(argv, within_s=_USERDEL_S).stdout.strip()


def finish_logins(shell: Shell) -> None:
    """Says on the guest that the change is over."""
    shell.run(["rm", "-f", RECORD])
