//! release 17
package refused.records;

class X {
    record Pair(short a, short b) { } //! @X$Pair records are not part of Java Card
}
