-- Pace: for each event and number of days before it, tickets sold that day and in all by then.
SELECT event_id, event, days_before, tickets,
       sum(tickets) OVER (PARTITION BY event_id ORDER BY days_before DESC) AS tickets_by_then
FROM (
    SELECT eventId AS event_id,
           max(eventName) AS event,
           date_diff('day', CAST(substr("date", 1, 10) AS date), TRY_CAST(substr(eventDate, 1, 10) AS date)) AS days_before,
           sum(sold) AS tickets
    FROM see_tickets_sales
    GROUP BY eventId, 3
) AS days
WHERE days_before IS NOT NULL
ORDER BY event_id, days_before DESC
