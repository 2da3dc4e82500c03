"""The loss of each hold-out sample, which no Flower client tells. Yours to write; it runs where the client does."""

import torch
from pytorchexample.task import Net, load_data


@torch.no_grad()
def of_each(arrays, context):
    model = Net()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    _, test = load_data(context.node_config["partition-id"], context.node_config["num-partitions"], batch_size=64)
    entropy = torch.nn.CrossEntropyLoss(reduction="none")
    return torch.cat([entropy(model(batch["img"]), batch["label"]) for batch in test]).tolist()
