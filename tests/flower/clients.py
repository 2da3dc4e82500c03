"""Flower clients from before messages: they have lists of arrays, without names."""

import time

import numpy as np
from flwr.client import NumPyClient


class Line(NumPyClient):
    """Weights of a line through samples of it, and where it crosses zero."""

    def __init__(self, partition=0):
        self.inputs = np.random.default_rng(partition).normal(size=(50, 3)).astype(np.float32)
        self.labels = self.inputs @ np.array([1.0, -2.0, 0.5]) + 3

    def get_parameters(self, config):
        return [np.zeros(3), np.zeros(())]

    def _error(self, parameters):
        weights, bias = parameters
        return self.inputs @ weights + bias - self.labels

    def fit(self, parameters, config):
        for _ in range(config["steps"]):
            error = self._error(parameters)
            weights, bias = parameters
            parameters = [weights - 0.1 * self.inputs.T @ error / len(error), bias - 0.1 * error.mean()]
        return parameters, len(self.labels), {}

    def evaluate(self, parameters, config):
        return float(np.square(self._error(parameters)).mean()), len(self.labels), {"accuracy": 0.0}


def of_context(context):
    return Line(context.node_config["partition-id"]).to_client()


class Broken(Line):
    def fit(self, parameters, config):
        raise OSError("the disk\nis full")


class Asleep(Line):
    def fit(self, parameters, config):
        time.sleep(600)


class Whole(Line):
    def fit(self, parameters, config):
        return [np.zeros(3, dtype=np.int64), np.zeros(())], 50, {}


class Swapped(Line):
    def fit(self, parameters, config):
        return parameters[::-1], 50, {}
