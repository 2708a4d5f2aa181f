;; Emits what the server does not take: it answers to this agent's payloads with an error.
(memory (export "memory") 4)
(func $attack)
