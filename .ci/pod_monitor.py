"""Whether each PodMonitor on stdin is one by the Prometheus operator's own definition, with no key that it does not know."""

import sys

import yaml
from cloudcoil.models.prometheus_operator import v1

monitors = [thing for thing in yaml.safe_load_all(sys.stdin) if thing["kind"] == "PodMonitor"]
for monitor in monitors:
    understood = v1.PodMonitor.model_validate(monitor).model_dump(by_alias=True, exclude_unset=True, mode="json")
    if understood != monitor:
        sys.exit(f"not understood whole: {monitor}\nonly: {understood}")
    print(f"podmonitor/{monitor['metadata']['name']} is understood whole")
if not monitors:
    sys.exit("there is no PodMonitor")
