"""One attempt of a job, with the network libraries that it takes: loaded once the command line is right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.store.address import Place, split
from models.store.opening import open_store
from models.training.batch.halt import Halt
from models.training.batch.job import BatchJob
from models.training.batch.share import Share
from models.training.config import TrainConfig
from models.training.read_data import read_data
from models.training.run.train import Places, Teller
from pipeline.files import locked
from service.batch_jobs import leftovers
from service.batch_jobs.scratch import Scratch
from service.commands.progress import ProgressBar
from service.commands.store_place import pull_folder
from service.settings import load_settings


@dataclass(frozen=True, slots=True)
class Attempt:
    """``scratch``: a folder of this machine that nobody needs afterwards. ``command``: for the model's card."""

    config: TrainConfig
    share: Share
    data: Place
    output: Place
    scratch: Path
    command: str

    def run(self, bar: ProgressBar, halt: Halt) -> None:
        """Raises TrainingError, DatasetError, StoreError, and Terminated once all that was learnt is kept."""
        settings, scratch = load_settings(), Scratch(self.scratch, self.output)
        places = Places(scratch.model(self.config.name), scratch.runs, scratch.features, settings.weights_dir)
        store = open_store(self.output, settings.s3_endpoint)
        job = BatchJob(self.config, self.share, str(self.data), store, places, self.command)
        remote = job.remote(bar.say)
        leftovers.sweep(self.scratch)
        done = remote.done()
        if done is not None:
            bar.say(f"{self.share.name} is done already: {done['metrics']}")
        else:
            with leftovers.working(scratch, self.share):
                data = read_data(self.config, self._local(scratch, bar))
                job.run(data, remote, Teller(bar.step, bar.say), halt)
        if remote.done() is not None:  # what is here is in the store
            leftovers.clear(scratch, self.share, self.config.name)

    def _local(self, scratch: Scratch, bar: ProgressBar) -> Path:
        """→ a folder of this machine with the data set. Of several jobs here one fetches it, the others wait."""
        if isinstance(self.data, Path):
            return self.data
        folder = scratch.data(split(self.data)[1])
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f".{folder.name}.lock")):
            pull_folder(self.data, folder, bar)
        return folder
