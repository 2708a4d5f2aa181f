import { PattooError } from "./errors.js";

/**
 * Reading of Modbus devices: functions 1 to 4 of the Modbus Application Protocol Specification V1.1b3. There is no function that
 * writes.
 *
 * A collector knows the *names* under which its operator granted devices, never where they are. Addresses are those of the
 * wire, from 0: the register that a manual calls 40001 is address 0 of the holding registers, 30386 is address 385 of the input
 * registers. A read of at most 125 registers or 2 000 bits is one request, so that a value of 32 or 64 bits never tears; a longer
 * one is split there. `decode` turns registers into such values.
 */

/** The four tables of a device, as the contract names them. The first two hold bits, the others registers of 16 bits. */
export type Table = "coils" | "discrete-inputs" | "holding-registers" | "input-registers";

/** One stretch of one table. */
export interface Span {
  /** The name of a device in the grant. */
  device: string;
  /** The unit (server address) behind it, 0 to 255; the default unit of the grant unless given. */
  unit?: number;
  table: Table;
  /** The first address, from 0. */
  address: number;
  /** How many, 1 or more; `address + count` is at most 65 536. */
  count: number;
}

/** A device to read from. What cannot be read throws a `ModbusError`. */
export interface Device {
  readonly name: string;
  readonly unit: number | undefined;
  /** Function 1. */
  coils(address: number, count: number): boolean[];
  /** Function 2. */
  discreteInputs(address: number, count: number): boolean[];
  /** Function 3. */
  holdingRegisters(address: number, count: number): number[];
  /** Function 4. */
  inputRegisters(address: number, count: number): number[];
}

/** The device of that name in the grant, and its default unit unless another is given. */
export function device(name: string, unit?: number): Device;

/** What was read, or why not: as `Promise.allSettled` has it. */
export type Settled = { status: "fulfilled"; value: Words } | { status: "rejected"; reason: ModbusError };
/** A boolean for each bit of the first two tables, a number of 16 bits, unsigned, for each register of the others. */
export type Words = boolean[] | number[];

/**
 * Reads many spans at once: all devices in parallel, each device's spans in the fewest requests that its limits allow. There is one
 * result for each span, in the same order. A dead device, or a register that does not exist, costs its own spans only.
 */
export function readMany(spans: Iterable<Span>): Settled[];

/** The devices that were granted, in the order of the grant, with their units, the default one first. */
export function devices(): { name: string; units: number[] }[];

/** The names of a device's exceptions (section 7 of the specification). */
export const EXCEPTIONS: Readonly<Record<number, string>>;

/** Nothing was read. */
export class ModbusError extends PattooError {
  readonly span: Span;
  /** `denied`: not granted. `exception`: the device itself said no. `connection`: it could not be reached, or broke the protocol. */
  readonly kind: "denied" | "unknown-device" | "exception" | "timeout" | "connection" | "invalid" | "quota" | "other";
  /** The number of the device's exception. */
  readonly code: number | undefined;
  /** The same in words: `exception 2 (illegal data address)`. */
  readonly exception: string | undefined;
}
