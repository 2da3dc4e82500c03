"""An account whose key is kept by a signer funds itself and enters a round."""

from market_node.chain import Chain
from market_node.deploy import mint
from market_node.signer import RemoteSigner
from tests.clef import Clef, over_http
from tests.integration.stage import Play, terms


def test_an_account_with_a_remote_signer_trades_as_any_other(devnet, deployment, actors):
    clef = Clef(devnet.accounts[9])
    with over_http(clef.reply) as place:
        chain = Chain(devnet.provider, deployment.market, RemoteSigner(place, clef.account.address))
        mint(devnet.provider, devnet.accounts[0], deployment.token, chain.account, 1 << 60)
        chain.fund(1 << 60)  # with a permit
        chain.set_encryption_key(b"\1" * 32)
        number = actors.operator.open_round(terms(devnet.now()))[1]
        Play(devnet, actors.operator, [chain, actors.alice], number).commit().draw().reveal().settle()
        assert chain.state(number).revealed == 2
    assert clef.asked.count("account_signTypedData") == 1
    assert clef.asked.count("account_signTransaction") == 4  # fund, key, commit, reveal
