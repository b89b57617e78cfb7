"""The classifiers, one row each: forms, the checks of the command line and the grid of a search come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ser_core.settings import CHOICE, MAGNITUDE, NUMBER, SIZES, WHOLE, Setting


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """One row: a classifier's title, input and hyperparameters.

    iterative: it learns in epochs, which can be watched and stopped early. continues: it can start from a trained model's weights.
    pretrained: a sentence on what learned elsewhere, from other data; "" where everything learns here.
    """

    title: str
    description: str
    input_kind: str
    settings: tuple[Setting, ...]
    iterative: bool = False
    continues: bool = False
    pretrained: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """Every hyperparameter with its default, and the seed."""
        return {setting.name: setting.default for setting in self.settings} | {"seed": 0}

    @property
    def grid(self) -> dict[str, tuple[Any, ...]]:
        """The default grid of a search: hyperparameter -> values."""
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
        help="Passes over the training clips. The best epoch on the validation speakers is kept.",
    )


_PATIENCE = Setting(
    name="patience",
    title="Patience",
    kind=WHOLE,
    default=0,
    low=0,
    high=100,
    early=True,
    help="Stop after this many epochs without improvement on the validation speakers; 0 runs all epochs.",
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
        help="Clips per update of the weights. Larger batches are steadier; smaller ones learn more per epoch.",
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
        help="Step size of each update. Too high: the loss jumps. Too low: it hardly falls.",
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
        help="Inverse strength of regularisation. Higher values fit the training clips more closely.",
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
            help="Share of the features dropped at random during training, against overfitting.",
        ),
        _learning_rate(2e-3, grid=(1e-3, 2e-3)),
        _batch_size(batch_size),
        _epochs(30),
        _PATIENCE,
        Setting(
            name="clips_per_epoch",
            title="Clips per epoch",
            kind=WHOLE,
            default=4800,
            low=10,
            high=100_000,
            step=100,
            help="Clips drawn for each epoch, with new random masks. Fewer clips give shorter epochs and earlier curves.",
        ),
        Setting(
            name="mask_frames",
            title="Masked frames",
            kind=WHOLE,
            default=12,
            low=0,
            high=80,
            help="SpecAugment: up to this many consecutive frames (20 ms each) are masked in each training clip.",
        ),
        Setting(
            name="mask_mels",
            title="Masked bands",
            kind=WHOLE,
            default=6,
            low=0,
            high=32,
            help="SpecAugment: up to this many neighbouring mel bands or measures are masked in each training clip.",
        ),
        Setting(
            name="label_smoothing",
            title="Label smoothing",
            kind=NUMBER,
            default=0.1,
            low=0,
            high=0.5,
            step=0.05,
            help="Share of the probability moved from the true label to all labels during training, against overconfidence.",
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
    help="Maximum depth of each tree.",
)

CLASSIFIERS: dict[str, ClassifierSpec] = {
    "knn": ClassifierSpec(
        title="KNN",
        description="k nearest neighbours, after a linear discriminant projection that separates the emotions",
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
                help="Number of nearest training clips that vote.",
            ),
            Setting(
                name="weights",
                title="Votes",
                kind=CHOICE,
                default="distance",
                choices=("distance", "uniform"),
                early=True,
                grid=("distance", "uniform"),
                help="Whether nearer neighbours count more (distance), or all the same (uniform).",
            ),
            Setting(
                name="shrinkage",
                title="Shrinkage",
                kind=CHOICE,
                default=0.6,
                choices=("auto", 0.0, 0.1, 0.3, 0.6, 0.9),
                help="How strongly the estimated covariance is shrunk towards a simpler one; auto: Ledoit-Wolf.",
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
                help="Strength of the penalty on large weights (L2).",
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
                help="Share of the input features dropped at random in each training clip, against overfitting.",
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
                help="Filters of each of the four convolutions.",
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
                help="Filters of each of the three convolutions.",
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
                help="LSTM units per direction of time.",
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
                help="Curved decision boundaries (rbf) or straight ones (linear).",
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
                help="Width of the rbf kernel: the higher, the nearer two clips must be to count as similar.",
            ),
        ),
    ),
    "forest": ClassifierSpec(
        title="Random forest",
        description="the vote of many decision trees, each grown on a random sample of clips and features",
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
                help="More trees are steadier, slower and larger on disk.",
            ),
            _DEPTH,
            Setting(
                name="min_leaf",
                title="Clips per leaf",
                kind=WHOLE,
                default=3,
                low=1,
                high=100,
                grid=(1, 3, 10),
                help="Minimum number of clips in each leaf.",
            ),
        ),
    ),
    "boosting": ClassifierSpec(
        title="Gradient boosting",
        description="decision trees, each correcting the errors of those before it (histogram gradient boosting)",
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
                help="How much each tree contributes.",
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
                help="Maximum number of leaves of each tree.",
            ),
            Setting(
                name="l2",
                title="Weight decay",
                kind=NUMBER,
                default=1.0,
                low=0,
                high=100,
                step=0.5,
                help="Strength of the penalty on large leaf values (L2).",
            ),
            _epochs(10),
            _PATIENCE,
        ),
    ),
    "logistic": ClassifierSpec(
        title="Logistic regression",
        description="a linear classifier on the summary of the clip",
        input_kind="vector",
        settings=(_strictness(grid=(1e-3, 1e-2, 1e-1, 1.0), default=1e-2),),
    ),
    "lda": ClassifierSpec(
        title="LDA",
        description="linear discriminant analysis: one Gaussian per label, all with the same covariance",
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
                help="How strongly the estimated covariance is shrunk towards a simpler one; auto: Ledoit-Wolf.",
            ),
        ),
    ),
    "transfer": ClassifierSpec(
        title="Whisper + LDA",
        description="linear discriminant analysis of what the first layers of Whisper, a speech recogniser, make of the clip",
        input_kind="embedding",
        pretrained="Pretrained by OpenAI to recognise English speech; only its last step learned here.",
        settings=(
            Setting(
                name="shrinkage",
                title="Shrinkage",
                kind=CHOICE,
                default=0.4,
                choices=(0.1, 0.2, 0.4, 0.6, 0.8),
                early=True,
                grid=(0.1, 0.2, 0.4, 0.6, 0.8),
                help="How strongly the estimated covariance is shrunk towards a simpler one.",
            ),
        ),
    ),
}
