"""The whole command line."""

import typer

from . import audit, cards, demo, doctor, explain, export, money, round_, run, setup, simulate, status, steps
from .app import Debug, Home, Json, PasswordFile, group
from .auditor import auditor
from .keys import keys
from .network import devnet
from .task import task

app = group(
    "market-node",
    """Trade machine-learning models, settled on an Ethereum chain.

\b
A round from its opening to the last payment, each account with its own --home:

\b
  $ market-node devnet                          a chain on this machine
  $ market-node init                            keys and configuration
  $ market-node deploy                          once per market
  $ market-node fund 1000 --mint                test tokens
  $ market-node task create base.safetensors --name digits
  $ market-node round open TASK --commit 10m
  $ market-node commit 1 mine.safetensors --samples 600 --value 50 --cost 1
  $ market-node draw 1                          anyone
  $ market-node reveal 1
  $ market-node settle 1                        the aggregator
  $ market-node fetch 1 personal.safetensors
  $ market-node rate 1 100
  $ market-node audit                           anyone, without a key
  $ market-node auditor run                     challenges what is wrong
  $ market-node payout 1                        anyone

\b
All of it by itself:

\b
  $ market-node run --config node.toml
""",
)
app.add_typer(devnet, name="devnet", rich_help_panel="Set up")
app.add_typer(keys, name="keys", rich_help_panel="Set up")
for noun in (setup, money):
    noun.add_to(app)
app.add_typer(task, name="task", rich_help_panel="Run a round")
app.add_typer(round_.round_, name="round", rich_help_panel="Run a round")
app.add_typer(auditor, name="auditor", rich_help_panel="Look")
for noun in (round_, steps, run, doctor, status, cards, explain, audit, export, demo, simulate):
    noun.add_to(app)


@app.callback()
def everywhere(
    context: typer.Context,
    home: Home = None,
    password_file: PasswordFile = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    context.obj = {"home": home, "password_file": password_file, "json": json}
