"""What Accelerate has to know of DeepSpeed when the processes meet: the stage, and that the configuration is ours.

`launch.training.engines.zero` completes it when the model is there.  Cost: nothing; DeepSpeed is imported by
Accelerate, in seconds.
"""

import os

from accelerate.utils import DeepSpeedPlugin


class ZeroPlugin(DeepSpeedPlugin):
    """Accelerate's DeepSpeed plugin without its ties to the transformers package, and with our configuration only."""

    def set_deepspeed_weakref(self) -> None:
        """Do nothing: Accelerate's own would import transformers, whose models it is for."""

    def _deepspeed_config_checks(self) -> None:
        # Accelerate's own refuses what `accelerate launch` hands over from its file beside a configuration in code.
        return


def zero_plugin(stage: int) -> ZeroPlugin:
    """Return the plugin for a stage; `ZeroEngine` completes its configuration."""
    # float32 weights in every precision: autocast comes from outside, see `launch.runtime.precision`.
    nothing = {"enabled": False}
    configuration = {
        "gradient_accumulation_steps": 1,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": nothing,
        "fp16": dict(nothing),
    }
    return ZeroPlugin(hf_ds_config=configuration)


def without_compiled_operator() -> None:
    """Have DeepSpeed talk through gloo on a CPU, without the operator that it would compile for it first.

    `deepspeed_shm_comm` adds up the tensors of one machine's processes in shared memory.  Compiling it takes a C++
    compiler and a minute, and a process that is stopped meanwhile leaves a lock in torch's extensions folder for which
    every later start waits for ever.  DeepSpeed takes an operator that is marked as not compatible for missing.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def launched_stage() -> int:
    """Return the ZeRO stage that `accelerate launch` asks for by its environment; 0 without DeepSpeed."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() != "true":
        return 0
    return int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2"))
