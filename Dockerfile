# Four targets: `--target cpu` (OpenVINO), `--target cluster` (the same with Ray: docs/cluster.md), `--target gpu` (TensorFlow
# with CUDA) and `--target train` (the same, with what trainings need: docs/batch.md).
# The last stage is the CPU one, so that a plain `docker build .` makes it.
# `--build-arg TORCH_INDEX=…` with the index that PyTorch's installation page names for "CPU" makes the two of CPUs without
# CUDA's libraries, several GB smaller (docs/operations.md); without it they have the build that the package registry has.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    ACTOSCOPE_HOST=0.0.0.0 ACTOSCOPE_DATA_DIR=/data ACTOSCOPE_WEIGHTS_DIR=/data/weights
# OpenCV's wheel needs these two, and nothing else of a desktop.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline pipeline
COPY models models
COPY service service
COPY samples samples
COPY weights weights
COPY deploy/docker deploy/docker
RUN useradd --system --uid 10001 --create-home actoscope && mkdir /data && chown actoscope /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
# It listens on every interface, so it starts once there is a user: docker run … actoscope users add NAME --role admin
ENTRYPOINT ["/app/deploy/docker/start.sh"]
CMD ["serve"]

FROM base AS gpu
RUN pip install -c constraints.txt -e '.[postgres,train]' 'tensorflow[and-cuda]' \
    && chown -R actoscope weights
ENV ACTOSCOPE_RUNTIME=tensorflow NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER actoscope

FROM gpu AS train
USER root
# Jobs keep nothing on the machine: the image's own folder is the one of weights.
ENV ACTOSCOPE_WEIGHTS_DIR=/app/weights
RUN pip install -c constraints.txt -e '.[postgres,s3,train]' \
    && actoscope weights pull i3d-kinetics400 \
    && chown -R actoscope weights
USER actoscope
HEALTHCHECK NONE
CMD ["batch", "run", "--help"]

FROM base AS cluster
ARG TORCH_INDEX
RUN TORCH_INDEX=$TORCH_INDEX deploy/docker/install_for_cpus.sh cluster,s3,train,tune \
    && chown -R actoscope weights
USER actoscope

FROM base AS cpu
ARG TORCH_INDEX
RUN TORCH_INDEX=$TORCH_INDEX deploy/docker/install_for_cpus.sh postgres,train \
    && chown -R actoscope weights
USER actoscope
