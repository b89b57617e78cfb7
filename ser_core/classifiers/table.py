"""The classifiers one can train, a row each: the pages build their forms from it, the command line its checks, a search its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ser_core.settings import CHOICE, MAGNITUDE, NUMBER, SIZES, WHOLE, Setting


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """One row: how a classifier is called, what it sees, and its hyperparameters.

    iterative: it learns in epochs, which can be followed and ended early. continues: it can start from a trained model's weights.
    """

    title: str
    description: str
    input_kind: str
    settings: tuple[Setting, ...]
    iterative: bool = False
    continues: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """Every hyperparameter with its default, and the seed, which is no matter of taste."""
        return {setting.name: setting.default for setting in self.settings} | {"seed": 0}

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """What a search tries unless told otherwise: hyperparameter -> values."""
        return {setting.name: setting.grid for setting in self.settings if setting.grid}


def _epochs(default: int) -> Setting:
    return Setting(
        name="epochs",
        title="Epochs",
        kind=WHOLE,
        default=default,
        low=1,
        high=500,
        early=True,
        help="How often the training clips are gone through. The best epoch on the validation speakers is kept.",
    )


_PATIENCE = Setting(
    name="patience",
    title="Patience",
    kind=WHOLE,
    default=0,
    low=0,
    high=100,
    early=True,
    help="Stop after so many epochs in which the validation speakers were recognised no better; 0 goes through all epochs.",
)


def _batch_size(default: int) -> Setting:
    return Setting(
        name="batch_size",
        title="Batch size",
        kind=WHOLE,
        default=default,
        low=4,
        high=512,
        step=8,
        help="Clips between two corrections of the weights. Larger is steadier and forgets less, smaller learns more an epoch.",
    )


def _learning_rate(default: float, grid: tuple[float, ...] = ()) -> Setting:
    return Setting(
        name="learning_rate",
        title="Learning rate",
        kind=MAGNITUDE,
        default=default,
        low=1e-6,
        high=0.1,
        step=2,
        grid=grid,
        help="How far each batch moves the weights. Too high: the loss jumps. Too low: it hardly falls.",
    )


def _strictness(grid: tuple[float, ...], default: float) -> Setting:
    return Setting(
        name="C",
        title="C",
        kind=MAGNITUDE,
        default=default,
        low=1e-5,
        high=1e4,
        step=3,
        early=True,
        grid=grid,
        help="How much a wrong training clip costs. Higher follows the training clips more closely.",
    )


def _network(batch_size: int) -> tuple[Setting, ...]:
    return (
        Setting(
            name="dropout",
            title="Dropout",
            kind=NUMBER,
            default=0.2,
            low=0,
            high=0.8,
            step=0.05,
            grid=(0.2, 0.4),
            help="Share of the features left out at random while training, against learning by heart.",
        ),
        _learning_rate(2e-3, grid=(1e-3, 2e-3)),
        _batch_size(batch_size),
        _epochs(30),
        _PATIENCE,
        Setting(
            name="clips_per_epoch",
            title="Clips an epoch",
            kind=WHOLE,
            default=4800,
            low=10,
            high=100_000,
            step=100,
            help="Clips drawn for each epoch, each with other masks. Fewer give shorter epochs and an earlier look at the curves.",
        ),
        Setting(
            name="mask_frames",
            title="Masked frames",
            kind=WHOLE,
            default=12,
            low=0,
            high=80,
            help="SpecAugment: up to so many frames (of 20 ms) in a row are blanked in each training clip.",
        ),
        Setting(
            name="mask_mels",
            title="Masked bands",
            kind=WHOLE,
            default=6,
            low=0,
            high=32,
            help="SpecAugment: up to so many neighbouring mel bands or measures are blanked in each training clip.",
        ),
        Setting(
            name="label_smoothing",
            title="Label smoothing",
            kind=NUMBER,
            default=0.1,
            low=0,
            high=0.5,
            step=0.05,
            help="Share of certainty taken from the true label while training, so that the network stays unsure where it should.",
        ),
    )


_DEPTH = Setting(
    name="max_depth",
    title="Depth",
    kind=WHOLE,
    default=12,
    low=1,
    high=40,
    early=True,
    grid=(6, 12, 20),
    help="How many questions in a row a tree may ask.",
)

CLASSIFIERS: dict[str, ClassifierSpec] = {
    "knn": ClassifierSpec(
        title="KNN",
        description="k nearest neighbours, after a linear discriminant projection that pulls the emotions apart",
        input_kind="vector",
        settings=(
            Setting(
                name="n_neighbors",
                title="Neighbours",
                kind=WHOLE,
                default=60,
                low=1,
                high=500,
                step=5,
                early=True,
                grid=(5, 15, 30, 60, 120),
                help="How many of the most similar training clips vote.",
            ),
            Setting(
                name="weights",
                title="Votes",
                kind=CHOICE,
                default="distance",
                choices=("distance", "uniform"),
                early=True,
                grid=("distance", "uniform"),
                help="Whether near neighbours count more than far ones, or all the same.",
            ),
            Setting(
                name="shrinkage",
                title="Shrinkage",
                kind=CHOICE,
                default=0.6,
                choices=("auto", 0.0, 0.1, 0.3, 0.6, 0.9),
                help="How far the projection distrusts the covariance it measured; auto follows Ledoit and Wolf.",
            ),
        ),
    ),
    "mlp": ClassifierSpec(
        title="MLP",
        description="a perceptron with one hidden layer on the summary of the clip",
        input_kind="vector",
        iterative=True,
        settings=(
            Setting(
                name="hidden",
                title="Hidden units",
                kind=WHOLE,
                default=128,
                low=4,
                high=2048,
                step=32,
                early=True,
                grid=(128, 256, 512),
                help="Units between the features and the labels.",
            ),
            Setting(
                name="alpha",
                title="Weight decay",
                kind=NUMBER,
                default=1e-2,
                low=0,
                high=10,
                step=0.01,
                grid=(1e-3, 1e-2, 1e-1),
                help="How strongly large weights are punished.",
            ),
            Setting(
                name="dropout",
                title="Dropout",
                kind=NUMBER,
                default=0.5,
                low=0,
                high=0.9,
                step=0.05,
                grid=(0.3, 0.5, 0.7),
                help="Share of the features hidden at random from each training clip, against learning by heart.",
            ),
            _learning_rate(5e-4),
            _batch_size(64),
            _epochs(24),
            _PATIENCE,
        ),
    ),
    "cnn": ClassifierSpec(
        title="CNN",
        description="convolutions in time over mel spectrogram, pitch, loudness and voice quality, averaged over time",
        input_kind="frames",
        iterative=True,
        continues=True,
        settings=(
            Setting(
                name="filters",
                title="Filters",
                kind=SIZES,
                default=(128, 128, 128, 128),
                low=4,
                high=512,
                early=True,
                help="Patterns that each of the four convolutions looks for.",
            ),
            *_network(batch_size=32),
        ),
    ),
    "cnn_lstm": ClassifierSpec(
        title="CNN-LSTM",
        description="convolutions in time over the same measures as the CNN, then a long short-term memory, with attention",
        input_kind="frames",
        iterative=True,
        continues=True,
        settings=(
            Setting(
                name="filters",
                title="Filters",
                kind=SIZES,
                default=(128, 128, 128),
                low=4,
                high=512,
                early=True,
                help="Patterns that each of the three convolutions looks for.",
            ),
            Setting(
                name="units",
                title="LSTM units",
                kind=WHOLE,
                default=64,
                low=4,
                high=512,
                step=16,
                early=True,
                help="Memory cells in each direction of time.",
            ),
            *_network(batch_size=64),
        ),
    ),
    "svm": ClassifierSpec(
        title="SVM",
        description="a support vector machine on the summary of the clip",
        input_kind="vector",
        settings=(
            Setting(
                name="kernel",
                title="Kernel",
                kind=CHOICE,
                default="rbf",
                choices=("rbf", "linear"),
                early=True,
                grid=("rbf", "linear"),
                help="Curved borders between the labels (rbf) or straight ones.",
            ),
            _strictness(grid=(0.01, 0.1, 1.0, 10.0), default=1.0),
            Setting(
                name="gamma",
                title="Gamma",
                kind=MAGNITUDE,
                default=1.5e-3,
                low=1e-6,
                high=1.0,
                step=2,
                help="How near two clips must be to count as alike; for the kernel rbf.",
            ),
        ),
    ),
    "forest": ClassifierSpec(
        title="Random forest",
        description="the vote of many trees of questions, each grown on other clips and features",
        input_kind="vector",
        settings=(
            Setting(
                name="n_trees",
                title="Trees",
                kind=WHOLE,
                default=200,
                low=10,
                high=1000,
                step=50,
                early=True,
                help="More are steadier, slower and larger on disk.",
            ),
            _DEPTH,
            Setting(
                name="min_leaf",
                title="Clips in a leaf",
                kind=WHOLE,
                default=3,
                low=1,
                high=100,
                grid=(1, 3, 10),
                help="A tree asks no further where fewer clips than this would be left.",
            ),
        ),
    ),
    "boosting": ClassifierSpec(
        title="Gradient boosting",
        description="trees of questions, each mending what the trees before it got wrong (histogram gradient boosting)",
        input_kind="vector",
        iterative=True,
        settings=(
            Setting(
                name="learning_rate",
                title="Learning rate",
                kind=MAGNITUDE,
                default=0.1,
                low=1e-3,
                high=1.0,
                step=2,
                early=True,
                grid=(0.05, 0.1),
                help="How much of its mistakes each tree mends.",
            ),
            Setting(
                name="max_leaves",
                title="Leaves",
                kind=WHOLE,
                default=15,
                low=2,
                high=255,
                early=True,
                grid=(7, 15, 31),
                help="Leaves of each tree: how many features act together.",
            ),
            Setting(
                name="l2",
                title="Weight decay",
                kind=NUMBER,
                default=1.0,
                low=0,
                high=100,
                step=0.5,
                help="How strongly large values in the leaves are punished.",
            ),
            _epochs(10),
            _PATIENCE,
        ),
    ),
    "logistic": ClassifierSpec(
        title="Logistic regression",
        description="one straight border a label, through the summary of the clip",
        input_kind="vector",
        settings=(_strictness(grid=(1e-3, 1e-2, 1e-1, 1.0), default=1e-2),),
    ),
    "lda": ClassifierSpec(
        title="LDA",
        description="linear discriminant analysis: one bell curve a label, all of the same shape",
        input_kind="vector",
        settings=(
            Setting(
                name="shrinkage",
                title="Shrinkage",
                kind=CHOICE,
                default="auto",
                choices=("auto", 0.0, 0.1, 0.3, 0.5, 0.9),
                early=True,
                grid=("auto", 0.1, 0.3, 0.5, 0.9),
                help="How far the covariance that was measured is distrusted; auto follows Ledoit and Wolf.",
            ),
        ),
    ),
}
