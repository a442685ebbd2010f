"""Module: a model that knows its loss, its optimizer and its chart; what a Trainer asks of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import nn
from ..checks import function, instance, require
from ..nn.checks import flag, not_negative
from ..optim import SGD
from ..tensor import Tensor
from .hyperparameters import HyperParameters
from .progress_board import ProgressBoard

if TYPE_CHECKING:
    from .trainer import Trainer

Batch = Sequence[Any]  # the inputs, and last the labels


class Module(nn.Module, HyperParameters):
    """The base of the book's models: set `self.net` and `self.lr`, define `loss`, and override what shall differ.

    Args:
        plot_train_per_epoch: how many points an epoch the chart has of the training loss.
        plot_valid_per_epoch: and of what is measured on the validation data.

    Attributes:
        net: the network, for `forward`.
        lr: the learning rate, for `configure_optimizers`.
        board: the chart.
        trainer: the Trainer that trains it.

    Raises TypeError for what is no number, ValueError for one that is not above 0.
    """

    trainer: Trainer
    net: nn.Module

    def __init__(self, plot_train_per_epoch: float = 2, plot_valid_per_epoch: float = 1) -> None:
        super().__init__()
        for name, per_epoch in (
            ("plot_train_per_epoch", plot_train_per_epoch),
            ("plot_valid_per_epoch", plot_valid_per_epoch),
        ):
            if not_negative("Module", name, per_epoch) == 0:
                raise ValueError(f"Module: {name} must be above 0; set self.board.display = False for no chart")
        self.save_hyperparameters(ignore=["name", "per_epoch"])
        self.board = ProgressBoard()

    def loss(self, y_hat: Tensor, y: Tensor) -> Tensor:
        """What `forward` returned and the labels, to a tensor of one number; for a model to define."""
        raise NotImplementedError(f"{type(self).__name__}: define loss(self, y_hat, y), or derive from d2l.Classifier")

    def forward(self, X: Tensor) -> Tensor:
        """What the network makes of the inputs. Raises AttributeError where there is no `net`."""
        self._expect("net", "set self.net in __init__, or define forward(self, X)")
        return self.net(X)

    def plot(self, key: str, value: Any, train: bool) -> None:
        """Adds a value to the chart, under the name train_<key> or val_<key>.

        Args:
            value: a tensor of one element, or a number.
            train: whether it is one of the training data's.

        Raises RuntimeError while no Trainer trains the model.
        """
        instance("plot", "the key", key, str)
        flag("plot", "train", train)
        trainer = vars(self).get("trainer")
        if trainer is None:
            raise RuntimeError(f"{type(self).__name__}.plot: no Trainer trains this model yet; see Trainer.fit")
        self.board.xlabel = "epoch"
        if train:
            x = trainer.train_batch_idx / trainer.num_train_batches
            n = trainer.num_train_batches / self.plot_train_per_epoch
        else:
            x = trainer.epoch + 1
            n = trainer.num_val_batches / self.plot_valid_per_epoch
        value = value.detach() if isinstance(value, Tensor) else value  # the graph shall not be kept
        self.board.draw(x, value, f"{'train' if train else 'val'}_{key}", every_n=max(1, int(n)))

    def training_step(self, batch: Batch) -> Tensor:
        """The loss of a batch, which the Trainer minimises; drawn as train_loss."""
        inputs, labels = split("training_step", batch)
        loss = self.loss(self(*inputs), labels)
        self.plot("loss", loss, train=True)
        return loss

    def validation_step(self, batch: Batch) -> None:
        """What is measured on a batch of the validation data, with gradients off; drawn as val_loss."""
        inputs, labels = split("validation_step", batch)
        self.plot("loss", self.loss(self(*inputs), labels), train=False)

    def configure_optimizers(self) -> Any:
        """What has `step()` and `zero_grad()`: gradient descent with the learning rate `self.lr`, unless overridden.

        Raises AttributeError where there is no `lr`.
        """
        self._expect("lr", "keep it with save_hyperparameters(), or define configure_optimizers(self)")
        return SGD(self.parameters(), lr=self.lr)

    def apply_init(self, inputs: Sequence[Any], init: Callable[[nn.Module], Any] | None = None) -> None:
        """Runs inputs through the model, at which lazy layers learn their shapes, and calls init on each layer.

        Args:
            inputs: the arguments of `forward`, in a list.
            init: a function of a module, which draws its weights.

        Raises TypeError where inputs is no list or init no function.
        """
        require(isinstance(inputs, (list, tuple)), "apply_init: the inputs must be a list", inputs, "write [X]")
        if init is not None:
            function("apply_init", "init", init)
        self.forward(*inputs)
        if init is not None:
            getattr(self, "net", self).apply(init)

    def _expect(self, name: str, hint: str) -> None:
        if not hasattr(self, name):
            raise AttributeError(f"{type(self).__name__} has no {name!r}: {hint}")


def split(caller: str, batch: Batch) -> tuple[Sequence[Any], Any]:
    """The inputs and the labels of a batch; raises TypeError for what is none."""
    fits = isinstance(batch, (tuple, list)) and len(batch) > 1
    require(fits, f"{caller}: a batch must be a list of inputs and labels", batch, "write (X, y)")
    return batch[:-1], batch[-1]
