"""A node that can be left running: it looks at the chain, sees what is due, and does one step at a time.

steps    what is due, a pure function of what the chain and the node's files tell
studies  the models that a participant has trained, bought and made of what it bought
keeping  pin duty, beside the steps
patience what failed, said once and tried again
meters   /healthz and /metrics
loop     the steps themselves, and the loop
"""

from .loop import Daemon

__all__ = ["Daemon"]
