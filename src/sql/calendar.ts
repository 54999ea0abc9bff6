/** The proleptic Gregorian calendar, years 0001 to 9999, in days since 1970-01-01. */
import type { DatePart, DatePeriod } from './plan.ts';

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334] as const;
/** Days from 0001-01-01 to 1970-01-01. */
const EPOCH_DAYS = 719_162;
/** First and last day that has a four-digit year. */
export const DATE_MIN = -EPOCH_DAYS;
export const DATE_MAX = 2_932_896;

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

function daysOfDate(year: number, month: number, day: number): number {
  const years = year - 1;
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  const before = DAYS_BEFORE_MONTH[month - 1]! + (month > 2 && isLeap(year) ? 1 : 0);
  return years * 365 + leaps + before + day - 1 - EPOCH_DAYS;
}

/**
 * Days since 1970-01-01 of a `YYYY-MM-DD`.
 * @returns null when the text is no such date or the date does not exist.
 */
export function daysOf(text: string): number | null {
  const m = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (m === null) return null;
  const [year, month, day] = [Number(m[1]), Number(m[2]), Number(m[3])];
  const before = DAYS_BEFORE_MONTH[month - 1];
  if (year === 0 || before === undefined) return null;
  const leapDay = month === 2 && isLeap(year) ? 1 : 0;
  const inMonth = (DAYS_BEFORE_MONTH[month] ?? 365) - before + leapDay;
  return day === 0 || day > inMonth ? null : daysOfDate(year, month, day);
}

interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  /** From 1. */
  readonly dayOfYear: number;
}

function civilOf(days: number): CivilDate {
  // A year is never further off than one from the estimate by the mean length.
  let year = Math.floor((days + EPOCH_DAYS) / 365.2425) + 1;
  if (daysOfDate(year, 1, 1) > days) year -= 1;
  if (daysOfDate(year + 1, 1, 1) <= days) year += 1;
  const dayOfYear = days - daysOfDate(year, 1, 1) + 1;
  let month = 12;
  while (daysOfDate(year, month, 1) > days) month -= 1;
  return { year, month, day: days - daysOfDate(year, month, 1) + 1, dayOfYear };
}

/** ISO text of a day. */
export function isoOf(days: number): string {
  const { year, month, day } = civilOf(days);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

const floorMod = (a: number, n: number): number => ((a % n) + n) % n;

/** Monday is 0. 1970-01-01 was a Thursday. */
const weekday = (days: number): number => floorMod(days + 3, 7);

/** Monday of the week. */
const monday = (days: number): number => days - weekday(days);

/** A calendar field as SQL's EXTRACT gives it; weeks are ISO 8601's, Sunday is dow 0. */
export function partOfDate(part: DatePart, days: number): number {
  const { year, month, day, dayOfYear } = civilOf(days);
  switch (part) {
    case 'year':
      return year;
    case 'quarter':
      return Math.ceil(month / 3);
    case 'month':
      return month;
    case 'week': {
      // The week belongs to the year of its Thursday.
      const thursday = monday(days) + 3;
      return Math.ceil(civilOf(thursday).dayOfYear / 7);
    }
    case 'day':
      return day;
    case 'dow':
      return (weekday(days) + 1) % 7;
    case 'isodow':
      return weekday(days) + 1;
    case 'doy':
      return dayOfYear;
  }
}

/** First day of the period that a day is in. */
export function truncDate(period: DatePeriod, days: number): number {
  const { year, month } = civilOf(days);
  switch (period) {
    case 'day':
      return days;
    case 'week':
      return monday(days);
    case 'month':
      return daysOfDate(year, month, 1);
    case 'quarter':
      return daysOfDate(year, 3 * Math.ceil(month / 3) - 2, 1);
    case 'year':
      return daysOfDate(year, 1, 1);
  }
}
