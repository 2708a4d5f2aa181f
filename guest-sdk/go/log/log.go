// Package log has words for the operator.
//
// Each call is one line of the agent's log, with the name of the program; control characters are shown escaped. Operators
// see Infof and above unless they ask for more. What is written to standard output and error becomes log lines as well.
package log

import (
	"fmt"

	"pattoo/internal/host"
)

const (
	trace = iota
	debug
	info
	warn
	failed
)

// Tracef says each step.
func Tracef(format string, arguments ...any) { write(trace, format, arguments) }

// Debugf says what helps to find a fault.
func Debugf(format string, arguments ...any) { write(debug, format, arguments) }

// Infof says what an operator likes to know.
func Infof(format string, arguments ...any) { write(info, format, arguments) }

// Warnf says what went wrong and was dealt with.
func Warnf(format string, arguments ...any) { write(warn, format, arguments) }

// Errorf says what went wrong and costs something. An error that ends the collection is better returned.
func Errorf(format string, arguments ...any) { write(failed, format, arguments) }

func write(level uint8, format string, arguments []any) {
	host.Log(level, fmt.Sprintf(format, arguments...))
}
