"""A twin of nanoGPT in its setting for a processor; prints a JSON line (shakespeare_against_nanogpt.py).

    shakespeare_nanogpt.py LEARNING_RATE CORPUS STEPS THREADS SEED

nanoGPT is no package that can be installed, and no line of its code is here: its algorithm is written down
once more. That is the model of model.py (one matrix for queries, keys and values, torch's fused attention,
GELU, LayerNorm without a bias, a head that shares the embedding's weights, first weights of 0.02, those
behind a residual divided by the root of their number), the batches of train.py (random places of a
memory-mapped file of uint16, stacked row by row, the next one before the backward pass), its AdamW (weights
of two axes decay; fused on GPUs only), its schedule and clipping, and one reading of the loss a step. On a
processor it computes in float32, without torch.compile, as its README says.

Source: github.com/karpathy/nanoGPT: model.py, train.py, config/train_shakespeare_char.py, and the README's
command for a processor, whose learning rate is 1e-3; the least is a tenth of the peak, as it is there.
Departures: no logging to a terminal; the estimates of the loss while it trains are left out, which costs no
step any time.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import num_parameters, peak_memory_bytes
from torch import Tensor, nn
from torch.nn import functional

NUM_LAYERS, NUM_HEADS, EMBED_DIM = 4, 4, 128
BLOCK, BATCH = 64, 12
LEAST_SHARE, WARMUP, WEIGHT_DECAY, BETAS = 0.1, 100, 0.1, (0.9, 0.99)


class Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(EMBED_DIM))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.Linear(EMBED_DIM, 3 * EMBED_DIM, bias=False)
        self.output = nn.Linear(EMBED_DIM, EMBED_DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size, length, width = x.shape
        parts = self.inputs(x).split(EMBED_DIM, dim=2)
        query, key, value = (
            part.view(size, length, NUM_HEADS, width // NUM_HEADS).transpose(1, 2) for part in parts
        )
        y = functional.scaled_dot_product_attention(query, key, value, dropout_p=0.0, is_causal=True)
        return self.output(y.transpose(1, 2).contiguous().view(size, length, width))


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(EMBED_DIM, 4 * EMBED_DIM, bias=False)
        self.gelu = nn.GELU()
        self.output = nn.Linear(4 * EMBED_DIM, EMBED_DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.attention = Norm(), Attention()
        self.second, self.feedforward = Norm(), FeedForward()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.feedforward(self.second(x))


class GPT(nn.Module):
    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, EMBED_DIM)
        self.places = nn.Embedding(BLOCK, EMBED_DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(NUM_LAYERS))
        self.norm = Norm()
        self.head = nn.Linear(EMBED_DIM, vocab_size, bias=False)
        self.tokens.weight = self.head.weight
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)
        for name, weight in self.named_parameters():
            if name.endswith("output.weight"):
                nn.init.normal_(weight, mean=0.0, std=0.02 / math.sqrt(2 * NUM_LAYERS))

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], dtype=torch.long, device=ids.device)
        x = self.tokens(ids) + self.places(places)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


def learning_rate(step: int, num_steps: int, peak: float) -> float:
    warmup = min(WARMUP, num_steps // 2)  # a short trial has no room for more
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / (num_steps - warmup)
    return peak * (LEAST_SHARE + 0.5 * (1.0 + math.cos(math.pi * done)) * (1.0 - LEAST_SHARE))


def get_batch(path: Path) -> tuple[Tensor, Tensor]:
    data = np.memmap(path, dtype=np.uint16, mode="r")
    starts = torch.randint(len(data) - BLOCK, (BATCH,))
    x = torch.stack([torch.from_numpy((data[i : i + BLOCK]).astype(np.int64)) for i in starts])
    y = torch.stack([torch.from_numpy((data[i + 1 : i + 1 + BLOCK]).astype(np.int64)) for i in starts])
    return x, y


def train(model: GPT, path: Path, num_steps: int, peak: float) -> float:
    """The seconds of all steps."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=BETAS)
    begin = time.perf_counter()
    x, y = get_batch(path)
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, num_steps, peak)
        loss = model(x, y)
        x, y = get_batch(path)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    return time.perf_counter() - begin


@torch.no_grad()
def whole_loss(model: GPT, ids: np.ndarray) -> tuple[float, int]:
    """Nats a token over blocks side by side, each token but the first a target once; and how many targets."""
    total, count = 0.0, 0
    tensor = torch.from_numpy(ids.astype(np.int64))
    for start in range(0, len(tensor) - 1, BLOCK):
        y = tensor[start + 1 : start + 1 + BLOCK]
        total += float(model(tensor[start : start + len(y)][None], y[None])) * len(y)
        count += len(y)
    return total / count, count


def main(peak: float, corpus: str, num_steps: int, threads: int, seed: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    text = Path(corpus).read_text(encoding="utf-8")
    numbers = {character: number for number, character in enumerate(sorted(set(text)))}
    ids = np.array([numbers[character] for character in text], dtype=np.uint16)
    cut = int(len(ids) * 0.9)
    model = GPT(len(numbers))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.bin"
        ids[:cut].tofile(path)
        seconds = train(model, path, num_steps, peak)
    loss, count = whole_loss(model.eval(), ids[cut:])
    row = {
        "torch": torch.__version__,
        "num_steps": num_steps,
        "num_parameters": num_parameters(model),
        "num_targets": count,
        "loop_seconds": seconds,
        "tokens_per_second": num_steps * BATCH * BLOCK / seconds,
        "validation_nats_per_token": loss,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6]))
