"""What AWS Batch tells a job of itself. Its prefix is protected: nobody else can set these variables there."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import TrainingError
from models.training.batch.share import Share


class BatchEnvironment(BaseSettings):
    """``AWS_BATCH_JOB_…``; outside AWS Batch it is one job, and the first attempt."""

    model_config = SettingsConfigDict(env_prefix="AWS_BATCH_JOB_", frozen=True, extra="ignore", env_ignore_empty=True)

    id: str = ""
    attempt: int = Field(1, ge=1)
    array_index: int = Field(0, ge=0)
    array_size: int = Field(1, ge=1)

    @property
    def share(self) -> Share:
        return Share(self.array_index, self.array_size)

    def __str__(self) -> str:
        return f"{self.share.name}, attempt {self.attempt}" + (f" of job {self.id}" if self.id else "")


def read_environment() -> BatchEnvironment:
    """Raises TrainingError naming the variable."""
    try:
        return BatchEnvironment()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise TrainingError(f"AWS_BATCH_JOB_{name}: {first['msg']}, got {first['input']!r}") from error
