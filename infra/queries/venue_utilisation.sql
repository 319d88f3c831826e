-- How busy venues are: for each venue and month, its events and the share of the month's days that have one.
SELECT venue_id,
       max(venue_name) AS venue,
       max(venue_city) AS city,
       month,
       count(*) AS events,
       count(DISTINCT start_local_date) AS days_with_events,
       CAST(count(DISTINCT start_local_date) AS double) / max(date_diff('day', month, month + INTERVAL '1' MONTH)) AS utilisation
FROM (
    SELECT venue_id, venue_name, venue_city, start_local_date, date_trunc('month', start_local_date) AS month
    FROM ticketmaster_events
    WHERE venue_id IS NOT NULL AND start_local_date IS NOT NULL AND status_code <> 'cancelled'
) AS dated
GROUP BY venue_id, month
ORDER BY events DESC, venue_id, month
