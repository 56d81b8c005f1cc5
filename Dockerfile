# actmatch's browser screen: docker build -t actmatch . && docker run --rm -p 7860:7860 actmatch
# On a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 -t actmatch .
FROM python:3.12-slim

# Where PyTorch and torchvision come from; by default without CUDA, which is 4 GB smaller.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt .
RUN pip install --index-url "$TORCH_INDEX" "torch>=2.8" "torchvision>=0.23" \
    && pip install -r requirements.txt

COPY app.py LICENSE README.md ./
COPY actmatch actmatch
COPY checkpoints checkpoints
RUN python -m compileall -q app.py actmatch \
    && useradd --uid 1000 visitor \
    && install --directory --owner visitor /hub

USER visitor
# All that is written lies here, so the root may be read-only: --read-only --tmpfs /tmp
# What classifiers are downloaded may lie in a volume instead: -v actmatch-hub:/hub -e HF_HOME=/hub
ENV HOME=/tmp/home \
    GRADIO_SERVER_NAME=0.0.0.0
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["python", "app.py", "--port", "7860"]
