"""What pattoo_shared wants on disk before it can be imported."""

import json
import os


def configure(folder):
    """Have pattoo_shared keep all that it keeps in `folder`."""
    pattoo = {key: folder for key in (
        'log_directory', 'cache_directory', 'daemon_directory', 'system_daemon_directory')}
    files = {
        'pattoo.yaml': {'pattoo': {'log_level': 'critical', **pattoo}},
        'pattoo_agent.yaml': {'pattoo_agent_api': {'ip_address': '127.0.0.1', 'ip_bind_port': 20201}}}
    for name, content in files.items():
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            # JSON is YAML.
            json.dump(content, file)
    os.environ['PATTOO_CONFIGDIR'] = folder
