package refused.interface_fields;

interface X {
    byte[] TABLE = {1, 2}; //! @X field TABLE of an interface is no compile-time constant
}
