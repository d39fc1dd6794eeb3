// A library that claims to be initialised before all others (-z initfirst). Only one is, the last that is loaded: with
// this one behind it, Sidestep is initialised in its turn.
const char *gate_first(void) {
    return "first";
}
