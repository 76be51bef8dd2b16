"""Does a shard set hold the features that a model was trained on?  Cost: nothing."""

from accent.configuration import flatten, load, to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from shards.shard_set.manifest import ShardSet


def check_features(shard_set: ShardSet, feature_config: FeatureConfig) -> None:
    """Refuse a shard set whose features were made otherwise than those the model was trained on.

    The backend may differ: both give the same numbers within the bounds that their tests hold.

    Raises:
        AccentError: the line names the first values that differ.
    """
    theirs = flatten(to_mapping(load(FeatureConfig, shard_set.manifest.configuration.get("features", {}))))
    ours = flatten(to_mapping(feature_config))
    differing = [
        f"{key} {theirs[key]}, not {ours[key]}" for key in ours if key != "backend" and theirs[key] != ours[key]
    ]
    if differing:
        raise AccentError(
            f"{shard_set.place}: features made otherwise than those the model was trained on "
            f"({'; '.join(differing[:3])}); featurize with the model's configuration"
        )
