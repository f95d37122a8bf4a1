//! How long a certificate lives: to the fifth birthday after issue, 23:59:59 Japan time.

use der::asn1::{GeneralizedTime, UtcTime};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};
use x509_cert::time::Validity;

/// Japan Standard Time, without summer time.
pub(super) const JST: UtcOffset = match UtcOffset::from_hms(9, 0, 0) {
    Ok(offset) => offset,
    Err(_) => UtcOffset::UTC,
};
/// 23:59:59 in Japan.
const END_OF_DAY: Time = match Time::from_hms(14, 59, 59) {
    Ok(time) => time,
    Err(_) => Time::MIDNIGHT,
};
/// Birthdays a certificate lives through.
const BIRTHDAYS: i32 = 5;

/// The birthday in a year. Who was born on 29 February completes a year with the end of 28 February (年齢計算ニ関スル法律),
/// so that is the day in common years.
fn birthday(birth: Date, year: i32) -> Option<Date> {
    Date::from_calendar_date(year, birth.month(), birth.day())
        .or_else(|_| Date::from_calendar_date(year, Month::February, 28))
        .ok()
}

/// The last second: 14:59:59 UTC on the fifth birthday after the day of issue (in Japan), or `limit` if that comes first
/// (the certificate on the card, from which the phone's one is derived). A birthday on the day of issue does not count.
/// `None` at the end of time.
pub(super) fn not_after(
    issued: OffsetDateTime,
    birth: Date,
    limit: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    let day = issued.to_offset(JST).date();
    let this_year = birthday(birth, day.year())?;
    let first = if this_year > day { day.year() } else { day.year() + 1 };
    let end = OffsetDateTime::new_utc(birthday(birth, first + BIRTHDAYS - 1)?, END_OF_DAY);
    Some(limit.map_or(end, |limit| end.min(limit)))
}

/// As the certificate codes it: UTCTime through 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5).
pub(super) fn validity(from: OffsetDateTime, to: OffsetDateTime) -> Result<Validity, der::Error> {
    Ok(Validity { not_before: coded(from)?, not_after: coded(to)? })
}

/// A time as X.509 and CMS code it.
pub(crate) fn coded(moment: OffsetDateTime) -> Result<x509_cert::time::Time, der::Error> {
    let seconds = u64::try_from(moment.unix_timestamp()).unwrap_or(0);
    let since_epoch = std::time::Duration::from_secs(seconds);
    if moment.to_offset(UtcOffset::UTC).year() < 2050 {
        Ok(UtcTime::from_unix_duration(since_epoch)?.into())
    } else {
        Ok(GeneralizedTime::from_unix_duration(since_epoch)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    #[test]
    fn a_certificate_ends_on_the_fifth_birthday_after_issue() {
        for (what, issued, birth, end) in [
            (
                "birthday to come",
                datetime!(2026-04-01 00:00 UTC),
                date!(1990 - 05 - 10),
                datetime!(2030-05-10 14:59:59 UTC),
            ),
            (
                "birthday passed",
                datetime!(2026-06-01 00:00 UTC),
                date!(1990 - 05 - 10),
                datetime!(2031-05-10 14:59:59 UTC),
            ),
            (
                "on the birthday",
                datetime!(2026-05-10 03:00 UTC),
                date!(1990 - 05 - 10),
                datetime!(2031-05-10 14:59:59 UTC),
            ),
            (
                "the day before",
                datetime!(2026-05-09 03:00 UTC),
                date!(1990 - 05 - 10),
                datetime!(2030-05-10 14:59:59 UTC),
            ),
            (
                "already the birthday in Japan",
                datetime!(2026-05-09 15:00 UTC),
                date!(1990 - 05 - 10),
                datetime!(2031-05-10 14:59:59 UTC),
            ),
            (
                "29 February",
                datetime!(2026-01-01 00:00 UTC),
                date!(1992 - 02 - 29),
                datetime!(2030-02-28 14:59:59 UTC),
            ),
            (
                "29 February, leap year",
                datetime!(2024-03-01 00:00 UTC),
                date!(1992 - 02 - 29),
                datetime!(2029-02-28 14:59:59 UTC),
            ),
            (
                "29 February to leap year",
                datetime!(2023-03-01 00:00 UTC),
                date!(1992 - 02 - 29),
                datetime!(2028-02-29 14:59:59 UTC),
            ),
        ] {
            assert_eq!(not_after(issued, birth, None), Some(end), "{what}");
        }
    }

    #[test]
    fn the_card_s_certificate_is_the_limit() {
        let limit = datetime!(2027-05-10 14:59:59 UTC);
        let issued = datetime!(2026-04-01 00:00 UTC);
        assert_eq!(not_after(issued, date!(1990 - 05 - 10), Some(limit)), Some(limit));
    }

    #[test]
    fn times_from_2050_on_are_generalized() {
        let validity = validity(datetime!(2049-12-31 23:59:59 UTC), datetime!(2050-01-01 0:00 UTC)).unwrap();
        assert!(matches!(validity.not_before, x509_cert::time::Time::UtcTime(_)));
        assert!(matches!(validity.not_after, x509_cert::time::Time::GeneralTime(_)));
    }
}
