"""Trains a detector on a table, and asks which rows of another one are anomalies.

Needs grpcio and the stubs of proto/, as the README shows. The argument is the server's address.
"""

import sys

import grpc
from anomaly.v1.anomaly_service_pb2 import PredictRequest, TrainRequest
from anomaly.v1.anomaly_service_pb2_grpc import AnomalyServiceStub
from anomaly.v1.prediction_pb2 import DETAIL_SCORE, AnswerOptions
from anomaly.v1.records_pb2 import Matrix, Records
from anomaly.v1.training_pb2 import TrainingSpec

METADATA = [("authorization", "Bearer python-secret")]
NAMES = ["amount", "hour"]
NORMAL = [[12, 9], [15, 10], [11, 11], [18, 12], [14, 13], [13, 14], [16, 15], [12, 16], [17, 17], [950, 3]]


def records(rows):
    """The rows as a matrix, the fastest form."""
    values = [value for row in rows for value in row]
    return Records(matrix=Matrix(feature_names=NAMES, values=values))


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        service = AnomalyServiceStub(channel)
        # no detector is named, so it is the ensemble that needs no choice
        spec = TrainingSpec(contamination=0.1)
        request = TrainRequest(run_id="cards", spec=spec, records=records(NORMAL))
        model = service.Train(request, metadata=METADATA).model
        print(f"{model.run_id} is at version {model.version}: {model.detector_name}, threshold {model.threshold:.3f}")

        rows = [[14, 12], [900, 2]]
        # without a detail, a single row would be answered in found.rows instead of these arrays
        answer = AnswerOptions(detail=DETAIL_SCORE)
        request = PredictRequest(run_id="cards", records=records(rows), answer=answer)
        found = service.Predict(request, metadata=METADATA).predictions
        for row, score, is_anomaly in zip(rows, found.scores, found.is_anomaly):
            print(f"{row}: {score:.3f} {'anomaly' if is_anomaly else 'normal'}")


if __name__ == "__main__":
    main()
