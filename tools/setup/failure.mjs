/** Something that stops the set-up and that a person can act on: it is printed as it is, without a stack trace. */
export class SetupFailure extends Error {}
