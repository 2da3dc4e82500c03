"""`keys`: the account's encryption keys, by version."""

from .app import command, group
from .session import Session

keys = group(
    "keys",
    """The encryption key: a new version, and the one on chain.

\b
  $ market-node keys rotate                 a new version, made and published
  $ market-node keys publish                the newest one, after a backup was restored
""",
)


@command(keys, "rotate")
def rotate(session: Session) -> None:
    """Make the next version of the encryption key and publish it.

    Older versions stay, and open what was sealed to them. Rotate where a key may have leaked, and now and then; back
    the key folder up right after: what is sealed to the new key is lost with it.
    """
    from ..keys import SCRYPT_COST, create_encryption_key, newest_cost

    folder = session.config.keys
    session.signing  # noqa: B018  (that the key can be published, before it is made)
    with session.screen.working("making a key"):
        create_encryption_key(folder, session._password, cost=newest_cost(folder) or SCRYPT_COST)
    _publish(session)
    session.screen.say(f"back {folder} up now")


@command(keys, "publish")
def publish(session: Session) -> None:
    """Put the newest encryption key on chain, if it is not the one that is there."""
    _publish(session)


def _publish(session: Session) -> None:
    with session.screen.working("waiting for the block"):
        session.publish_key()
    public, count = session.keys.public, len(session.keys.publics)
    session.screen.facts("", {"encryption key": public.hex(), "version": count})
    session.screen.result({"encryption_key": public, "version": count, "keys": str(session.config.keys)})
