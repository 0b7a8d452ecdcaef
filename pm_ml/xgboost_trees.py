"""Trees out of XGBoost, as the exports write them into a graph."""

import json
from typing import Any

import xgboost


def scaled_trees(booster: xgboost.Booster, factor: float) -> list[dict[str, Any]]:
    """Trees as XGBoost's JSON writes them (`pm_ml.export.fault_graph` names the fields), each leaf times `factor`."""
    return [
        tree
        | {
            "split_conditions": [
                value * factor if left == -1 else value
                for left, value in zip(tree["left_children"], tree["split_conditions"], strict=True)
            ]
        }
        for tree in json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    ]


def base_score(booster: xgboost.Booster) -> float:
    """The value that the sums of the leaves start from; of a classifier as a probability."""
    return float(json.loads(booster.save_config())["learner"]["learner_model_param"]["base_score"].strip("[]"))
