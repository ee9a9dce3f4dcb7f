"""The real server on a folder of its own, and a gRPC client."""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
import numpy
from grpc_tools import protoc

from common import ROOT, TARGET

# for trainings that are one message, which may be larger than the default of 64 MiB
LARGE_TRAININGS = ("--max-message-bytes", 1 << 30, "--request-memory-bytes", 2 << 30)
# Scoring is cut into messages that any server takes.
PREDICT_BYTES = 32 << 20
# the largest limit of an answer; the scores of such requests take less
ANSWER_BYTES = 64 << 20
START_SECONDS = 60
CHUNK_BYTES = 1 << 20
TOKEN = [("authorization", "Bearer benchmark")]


def load_stubs(folder):
    """Generates the Python stubs into a folder and imports the messages and the stub of AnomalyService."""
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = [f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *arguments, *map(str, protos)]) != 0:
        raise SystemExit("the protos do not compile")
    sys.path.insert(0, str(folder))
    from anomaly.v1 import anomaly_service_pb2, anomaly_service_pb2_grpc

    return anomaly_service_pb2, anomaly_service_pb2_grpc


def upload_messages(dataset_id, parts):
    """The messages that upload a file, given as byte strings one after the other."""
    from anomaly.v1 import dataset_service_pb2 as messages

    sha256, offset = hashlib.sha256(), 0
    yield messages.UploadDatasetRequest(header=messages.UploadDatasetHeader(dataset_id=dataset_id))
    for part in parts:
        for start in range(0, len(part), CHUNK_BYTES):
            data = part[start : start + CHUNK_BYTES]
            yield messages.UploadDatasetRequest(chunk=messages.UploadDatasetChunk(offset=offset, data=data))
            sha256.update(data)
            offset += len(data)
    yield messages.UploadDatasetRequest(end=messages.UploadDatasetEnd(sha256=sha256.digest(), size_bytes=offset))


def free_port():
    """A free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """The release server while it runs, and a client of it.

    `options` are more of the command line, and `program` is another program than that of the release build."""

    def __init__(self, options=(), program=None):
        self.options, self.program = options, program or TARGET / "release" / "anomalyd"

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        (folder / "stubs").mkdir()
        self.messages, services = load_stubs(folder / "stubs")
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        self.log = folder / "log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANOMALYD_")}
        command = [self.program, "serve", "--listen", address, "--data-dir", folder / "data"]
        command += self.options
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*map(str, command)], env=environment, stdout=log, stderr=log)
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=unlimited)
        self.stub = services.AnomalyServiceStub(self.channel)
        try:
            grpc.channel_ready_future(self.channel).result(timeout=START_SECONDS)
        except BaseException:
            log = self.log.read_text()
            self.__exit__()
            raise SystemExit(f"the server does not answer:\n{log}") from None
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()

    def peak_bytes(self):
        """The peak of the server's resident memory so far."""
        return self.memory("VmHWM")

    def resident_bytes(self):
        """The server's resident memory now."""
        return self.memory("VmRSS")

    def memory(self, name):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024

    def upload(self, dataset_id, parts):
        """Uploads a file, given as byte strings one after the other; its size in bytes."""
        from anomaly.v1 import dataset_service_pb2_grpc

        datasets = dataset_service_pb2_grpc.DatasetServiceStub(self.channel)
        answer = datasets.UploadDataset(upload_messages(dataset_id, parts), metadata=TOKEN)
        return answer.dataset.size_bytes

    def train(self, run_id, detector, dataset_id):
        """Trains a detector with its defaults on a dataset."""
        request = self.messages.TrainRequest(run_id=run_id)
        request.records.dataset_id = dataset_id
        getattr(request.spec, detector).SetInParent()
        self.stub.Train(request, metadata=TOKEN)

    def summary(self, run_id, dataset_id):
        """The summary of scoring all rows of a dataset with a run."""
        request = self.messages.PredictRequest(run_id=run_id, answer={"rows": "ANSWER_ROWS_NONE"})
        request.records.dataset_id = dataset_id
        return self.stub.Predict(request, metadata=TOKEN).predictions.summary

    def detectors(self):
        """The names of the detectors, in the order of the API."""
        return [field.name for field in self.spec().oneofs_by_name["detector"].fields]

    def spec(self):
        """The descriptor of a training spec."""
        return self.messages.TrainRequest.DESCRIPTOR.fields_by_name["spec"].message_type

    def is_seeded(self, detector):
        """Whether a detector makes random choices."""
        message = self.spec().fields_by_name[detector].message_type
        return "random_state" in message.fields_by_name

    def scores(self, detector, train, test, labels=None, seed=0):
        """Trains a detector with its defaults on some rows, with their labels for a supervised one; its scores of others."""
        request = self.messages.TrainRequest(run_id="benchmark", records=self.records(train, labels))
        if labels is not None:
            request.spec.label_column = LABEL
        parameters = getattr(request.spec, detector)
        parameters.SetInParent()
        if self.is_seeded(detector):
            parameters.random_state = seed
        self.stub.Train(request, metadata=TOKEN)
        n_rows = max(1, PREDICT_BYTES // (8 * test.shape[1]))
        scores = []
        for start in range(0, len(test), n_rows):
            request = self.messages.PredictRequest(
                run_id="benchmark",
                records=self.records(test[start : start + n_rows]),
                answer={"rows": "ANSWER_ROWS_ALL", "detail": "DETAIL_SCORE", "max_bytes": ANSWER_BYTES},
            )
            answer = self.stub.Predict(request, metadata=TOKEN)
            scores.append(numpy.array(answer.predictions.scores))
        self.stub.DeleteRun(self.messages.DeleteRunRequest(run_id="benchmark"), metadata=TOKEN)
        return numpy.concatenate(scores)

    def records(self, rows, labels=None):
        """Rows as a matrix of named columns, labels as its last one."""
        names = [f"feature_{column}" for column in range(rows.shape[1])]
        if labels is not None:
            rows = numpy.column_stack([rows, labels])
            names.append(LABEL)
        values = numpy.ascontiguousarray(rows, dtype="<f8").tobytes()
        from anomaly.v1 import records_pb2

        return records_pb2.Records(matrix=records_pb2.Matrix(feature_names=names, values_f64le=values))


LABEL = "is_anomaly"
